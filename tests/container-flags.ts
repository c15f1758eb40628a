import type { KubernetesObject } from '../scripts/module/render.ts';

/** Of a container. */
interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

/** What the kubelet makes of a field of the Pod. */
const fields: Readonly<Record<string, string>> = {
  'metadata.namespace': 'gke-metadata-server',
  'spec.nodeName': 'node-1',
  'status.hostIP': '192.0.2.1',
};
/** Which the programs read by themselves, or a user adds. */
const others = /^(HTTPS?_PROXY|NO_PROXY|SSL_CERT_FILE)$/;

/**
 * The environment of the container of a DaemonSet or Deployment, as flags: a variable that the program does not know is
 * no error, a flag is one.
 */
export function containerFlags(object: KubernetesObject): readonly string[] {
  const { spec } = object;
  const variables: readonly Variable[] = Object(spec).template.spec.containers[0].env;
  return variables
    .filter(({ name }) => !others.test(name))
    .map(({ name, value, valueFrom }) => {
      const flag = name.toLowerCase().replaceAll('_', '-');
      return `--${flag}=${value ?? fields[valueFrom?.fieldRef.fieldPath ?? '']}`;
    });
}
