import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const LABELS = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
const GKE_NODES = { 'iam.gke.io/gke-metadata-server-enabled': 'true' };
const METADATA_ADDRESS = '169.254.169.254';
const longest = 180_000;

let cluster: Cluster;
let injecting: InjectingWebhook;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  injecting = await InjectingWebhook.start(cluster);
  await injecting.register();
}, longest);
afterAll(async () => {
  await injecting?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

interface Manifest {
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** What `kubectl apply` (or with `--server-side`) of the same bare Pod is told the first and the second time. */
async function appliedTwice({ labels = {}, spec = {} }: Manifest, isServerSide: boolean): Promise<string[]> {
  const { api } = injecting.world;
  const path = `/api/v1/namespaces/${await injecting.addNamespace()}/pods`;
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', labels },
    spec: { containers: [{ name: 'main', image: 'none' }], ...spec },
  };
  const onServer = () =>
    api.fetch('PATCH', `${path}/app?fieldManager=kubectl`, {
      contentType: 'application/apply-patch+yaml',
      body: pod,
    });
  // kubectl sends what the stored Pod lacks of the manifest, with lists merged by their keys: the whole manifest has the
  // same effect, as what is there already is no change
  const onClient = (index: number) =>
    index === 0
      ? api.fetch('POST', path, { body: pod })
      : api.fetch('PATCH', `${path}/app`, {
          contentType: 'application/strategic-merge-patch+json',
          body: pod,
        });
  const told: string[] = [];
  for (const index of [0, 1]) {
    const response = await (isServerSide ? onServer() : onClient(index));
    // a Pod or a Status, told apart by the HTTP status
    const { message = '' } = (await response.json()) as { message?: string };
    told.push(response.ok ? 'applied' : message);
  }
  return told;
}

const alias = (...hostnames: string[]) => ({ hostAliases: [{ ip: METADATA_ADDRESS, hostnames }] });

test.each([
  ["GKE's nodeSelector", { spec: { nodeSelector: GKE_NODES } }, { labels: LABELS }],
  [
    'an alias of its own for the metadata address',
    { labels: LABELS, spec: alias('metadata') },
    { labels: LABELS, spec: alias('metadata', 'metadata.google.internal') },
  ],
] as const)(
  'a bare Pod with %s is refused the second time, and the way around is not',
  async (_, manifest, around) => {
    for (const isServerSide of [false, true]) {
      const [first, second] = await appliedTwice(manifest, isServerSide);
      expect([first, second]).toEqual([
        'applied',
        expect.stringContaining('pod updates may not change fields'),
      ]);
      expect(await appliedTwice(around, isServerSide)).toEqual(['applied', 'applied']);
    }
  },
  longest,
);

test(
  'any other bare Pod can be applied as often as anybody likes',
  async () => {
    for (const isServerSide of [false, true]) {
      expect(await appliedTwice({ labels: LABELS }, isServerSide)).toEqual(['applied', 'applied']);
    }
  },
  longest,
);
