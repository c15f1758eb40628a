import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { Kubectl } from '../kubectl.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const LABELS = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
const GKE_NODES = { 'iam.gke.io/gke-metadata-server-enabled': 'true' };
const METADATA_ADDRESS = '169.254.169.254';
const longest = 180_000;
/** A Pod to which the webhook adds something in each list that it has. */
const FULL = {
  containers: [
    { name: 'main', image: 'none', env: [{ name: 'A', value: 'a' }] },
    { name: 'second', image: 'none', ports: [{ containerPort: 80 }] },
  ],
  initContainers: [
    { name: 'first', image: 'none' },
    { name: 'sidecar', image: 'none', restartPolicy: 'Always' },
  ],
  hostAliases: [{ ip: '192.0.2.7', hostnames: ['elsewhere'] }],
  volumes: [{ name: 'data', emptyDir: {} }],
};

let cluster: Cluster;
let injecting: InjectingWebhook;
let kubectl: Kubectl;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  injecting = await InjectingWebhook.start(cluster);
  await injecting.register();
  kubectl = await Kubectl.create(cluster.kubeconfig);
}, longest);
afterAll(async () => {
  await injecting?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

interface Manifest {
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

const template = ({ labels = {}, spec = {} }: Manifest) => ({
  metadata: { labels: { app: 'app', ...labels } },
  spec: { containers: [{ name: 'main', image: 'none' }], ...spec },
});

function barePod(manifest: Manifest): object {
  const { metadata, spec } = template(manifest);
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'app' }, spec };
}

function deployment(manifest: Manifest): object {
  const spec = { selector: { matchLabels: { app: 'app' } }, template: template(manifest) };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'app' }, spec };
}

function job(manifest: Manifest): object {
  const { metadata, spec } = template(manifest);
  const restarting = { metadata, spec: { ...spec, restartPolicy: 'Never' } };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'app' }, spec: { template: restarting } };
}

/** What the real `kubectl apply` of the same object says the first and the second time. */
async function appliedTwice(object: object, isServerSide: boolean): Promise<string[]> {
  const namespace = await injecting.addNamespace();
  const flags = ['--namespace', namespace, ...(isServerSide ? ['--server-side'] : [])];
  const said: string[] = [];
  for (const _ of [1, 2]) {
    const { exitCode, stdout, stderr } = await kubectl.run(['apply', ...flags, '-f', '-'], [object]);
    said.push(exitCode === 0 ? stdout.trim() : stderr);
  }
  return said;
}

const applied = (what: string, isServerSide: boolean) =>
  isServerSide ? Array(2).fill(`${what} serverside-applied`) : [`${what} created`, `${what} unchanged`];

const alias = (...hostnames: string[]) => ({ hostAliases: [{ ip: METADATA_ADDRESS, hostnames }] });

const WAYS = [
  ['kubectl apply', false],
  ['kubectl apply --server-side', true],
] as const;
const AFFECTED = [
  ["GKE's nodeSelector", { spec: { nodeSelector: GKE_NODES } }, { labels: LABELS }],
  [
    'an alias of its own for the metadata address',
    { labels: LABELS, spec: alias('metadata') },
    { labels: LABELS, spec: alias('metadata', 'metadata.google.internal') },
  ],
] as const;

describe.each(WAYS)('%s', (_, isServerSide) => {
  test.each(AFFECTED)(
    'a bare Pod with %s is refused the second time, and the way around is not',
    async (_what, manifest, around) => {
      const [first, second] = await appliedTwice(barePod(manifest), isServerSide);
      expect([first, second]).toEqual([
        applied('pod/app', isServerSide)[0],
        expect.stringContaining('pod updates may not change fields'),
      ]);
      expect(await appliedTwice(barePod(around), isServerSide)).toEqual(applied('pod/app', isServerSide));
    },
    longest,
  );

  test.each(AFFECTED)(
    'the Pods of a Deployment or a Job with %s are not affected',
    async (_what, manifest) => {
      expect(await appliedTwice(deployment(manifest), isServerSide)).toEqual(
        applied('deployment.apps/app', isServerSide),
      );
      expect(await appliedTwice(job(manifest), isServerSide)).toEqual(applied('job.batch/app', isServerSide));
    },
    longest,
  );

  test.each([
    ['the label alone', { labels: LABELS }],
    ['containers, an init container and a native sidecar of its own', { labels: LABELS, spec: FULL }],
  ])(
    'any other bare Pod can be applied as often as anybody likes: %s',
    async (_what, manifest) => {
      // it says `configured` for the order of a list to which the webhook has added
      const told = (await appliedTwice(barePod(manifest), isServerSide)).map((line) =>
        line.replace('configured', 'unchanged'),
      );
      expect(told).toEqual(applied('pod/app', isServerSide));
    },
    longest,
  );
});
