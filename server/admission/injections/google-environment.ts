import type { InjectionSettings } from '../../settings/webhook-settings.ts';
import type { Container, PodManifest } from '../pod-manifest.ts';

/** The variables that, between them, every Google client reads; gcloud reads only the last. */
export const METADATA_VARIABLES = ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'];

/** A name of our own: a container's own HOST_IP may be something else. */
const HOST_IP_VARIABLE = 'GKE_METADATA_SERVER_HOST_IP';

/** Tells the clients in each container where the Node's server is, where the container does not tell them itself. */
export function addMetadataVariables({ spec }: PodManifest, settings: InjectionSettings): void {
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    addToContainer(container, settings);
  }
}

function addToContainer(container: Container, { serverPort, nodesAreIPv6 }: InjectionSettings): void {
  const env = container.env ?? [];
  const names = new Set(env.map(({ name }) => name));
  const missing = METADATA_VARIABLES.filter((name) => !names.has(name));
  if (missing.length === 0) return;
  // the kubelet expands $(NAME) of a variable that stands earlier in the list, and cannot add brackets as needed
  const reference = `$(${HOST_IP_VARIABLE})`;
  const value = `${nodesAreIPv6 ? `[${reference}]` : reference}:${serverPort}`;
  container.env = [
    ...env,
    ...(names.has(HOST_IP_VARIABLE)
      ? []
      : [{ name: HOST_IP_VARIABLE, valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } }]),
    ...missing.map((name) => ({ name, value })),
  ];
}
