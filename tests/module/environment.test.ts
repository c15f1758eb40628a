import { expect, test } from 'bun:test';
import { type KubernetesObject, ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { serveCommandOf, serveSettings } from '../../server/settings/serve-settings.ts';
import { webhookCommandOf, webhookSettings } from '../../server/settings/webhook-settings.ts';
import { parseFlags } from '../../server/testing/parse-flags.ts';
import { goldenCases } from './golden-cases.ts';

const renderer = await ModuleRenderer.prepare(new Cache());

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

/** As flags: the programs read a variable of another name without a word. */
function flagsOf(objects: readonly KubernetesObject[], kind: string): readonly string[] {
  // of an object whose kind is known
  const { template } = Object(objects.find((object) => object.kind === kind)?.['spec'] ?? {});
  const variables: readonly Variable[] = template?.spec.containers[0].env ?? [];
  return variables
    .filter(({ name }) => !others.test(name))
    .map(({ name, value, valueFrom }) => {
      const flag = name.toLowerCase().replaceAll('_', '-');
      return `--${flag}=${value ?? fields[valueFrom?.fieldRef.fieldPath ?? '']}`;
    });
}

for (const { name, values, instance } of await goldenCases('objects')) {
  test(`${name}: server and webhook know each variable and accept its value`, async () => {
    const objects = (await renderer.render(values, instance)).flatMap((set) => set.objects);
    const serve = flagsOf(objects, 'DaemonSet');
    expect(serve.length).toBeGreaterThan(5);
    expect(parseFlags(serveCommandOf('serve'), serveSettings, serve).error).toBe('');
    const webhook = flagsOf(objects, 'Deployment');
    if (webhook.length === 0) return; // switched off
    expect(parseFlags(webhookCommandOf('webhook'), webhookSettings, webhook).error).toBe('');
  });
}
