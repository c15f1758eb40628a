import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { goldenCases } from '../module/golden-cases.ts';

const longest = 180_000;

let cluster: Cluster;
let renderer: ModuleRenderer;
beforeAll(async () => {
  [cluster, renderer] = await Promise.all([
    startCluster({ mode: 'api', certManager: true }),
    ModuleRenderer.prepare(new Cache()),
  ]);
}, longest);
afterAll(() => cluster?.stop());

// what the schemas that CUE knows leave open is known here: quantities, enumerations, expressions, and what one field
// says about another
for (const { name, values, instance } of await goldenCases('objects')) {
  test(
    `the API server takes every object as it is, and warns of none: ${name}`,
    async () => {
      const objects = new Objects(cluster.api);
      const sent = (await renderer.render(values, instance)).flatMap((set) => set.objects);
      for (const namespace of new Set(sent.map(({ metadata }) => metadata.namespace ?? 'default'))) {
        await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      }
      for (const object of sent) {
        // what is not sent is made up, but nothing of what is sent is dropped or changed
        expect(normal(await objects.apply(object, { dryRun: true }))).toMatchObject(Object(normal(object)));
      }
      expect(objects.warnings).toEqual([]);
    },
    longest,
  );
}

/** Without empty lists and with quantities as Kubernetes writes them, in which alone two objects may differ. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(normal);
  if (typeof value !== 'object' || value === null) return value === '0.5' ? '500m' : value;
  const entries = Object.entries(value).map(([key, field]) => [key, normal(field)]);
  return Object.fromEntries(entries.filter(([, field]) => field !== undefined));
}
