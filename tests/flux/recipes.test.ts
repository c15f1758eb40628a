import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { recipeCRDs } from '../../scripts/tools/crds.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { ModuleInstance } from '../module-instance.ts';
import { applyExampleKinds, applyKinds } from './example-kinds.ts';
import { ofKind } from './examples.ts';

const RECIPES = join(import.meta.dir, '../../docs/recipes.md');
const longest = 180_000;

/** The objects of the page, in order, without the fragments of a kustomization.yaml. */
const recipes = [...(await Bun.file(RECIPES).text()).matchAll(/^```yaml\n(.*?)^```/gms)]
  .flatMap(([, yaml = '']) => Bun.YAML.parse(yaml))
  // the API server is asked about each
  .filter((value) => Object(value).apiVersion !== undefined) as KubernetesObject[];

let cluster: Cluster;
let objects: Objects;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api' });
  objects = new Objects(cluster.api);
  const cache = new Cache();
  await applyExampleKinds(objects, cache);
  // of Cilium's definitions themselves the API server warns
  await applyKinds(new Objects(cluster.api), await recipeCRDs(cache));
  for (const name of ['flux-system', 'gke-metadata-server', 'team']) {
    await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
}, longest);
afterAll(() => cluster?.stop());

test('the page has an object for each of these', () => {
  expect(recipes.map(({ kind }) => kind)).toEqual([
    'ClusterSecretStore',
    'ClusterIssuer',
    'OCIRepository',
    'CiliumNetworkPolicy',
    'CiliumLocalRedirectPolicy',
  ]);
});

test.each(recipes)('the API server takes $kind $metadata.name, and warns of nothing', async (object) => {
  await objects.apply(object, { dryRun: true });
  expect(objects.warnings).toEqual([]);
  const mistyped = { ...object, spec: { ...Object(object['spec']), mistyped: {} } };
  await expect(objects.apply(mistyped, { dryRun: true })).rejects.toThrow('mistyped');
});

test("Cilium's policies have the port of the server, and the redirect the labels of its Pods", async () => {
  const provider = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster';
  const module = await ModuleInstance.render(
    {
      image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
      settings: { projectID: 'my-project', workloadIdentityProvider: provider },
    },
    { name: 'gke-metadata-server', namespace: 'gke-metadata-server' },
  );
  // as a DaemonSet and the two policies have it
  const { template } = module.object('DaemonSet', '')['spec'] as {
    template: {
      metadata: { labels: object };
      spec: { containers: [{ env: { name: string; value?: string }[] }] };
    };
  };
  const { redirectBackend } = ofKind('CiliumLocalRedirectPolicy', recipes)['spec'] as {
    redirectBackend: { localEndpointSelector: { matchLabels: object }; toPorts: [{ port: string }] };
  };
  const { egress } = ofKind('CiliumNetworkPolicy', recipes)['spec'] as {
    egress: [{ toPorts: [{ ports: [{ port: string }] }] }];
  };
  expect(template.metadata.labels).toMatchObject(redirectBackend.localEndpointSelector.matchLabels);
  const env = template.spec.containers[0].env;
  const port = env.find(({ name }) => name === 'SERVER_PORT')?.value ?? 'none';
  expect([redirectBackend.toPorts[0].port, egress[0].toPorts[0].ports[0].port]).toEqual([port, port]);
});
