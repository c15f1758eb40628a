import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run as command, type Finished } from '../../scripts/run.ts';
import { type Explanation, STEP_TITLES } from '../../server/explain/explanation.ts';
import { serverImage } from '../cluster/images.ts';
import { Kubectl } from '../kubectl.ts';
import { waitUntil } from '../wait-until.ts';
import { SYSTEM } from './installation.ts';
import { NodeWorld } from './node-world.ts';
import { type PodOptions, Pods } from './pods.ts';

setDefaultTimeout(240_000);

/** Those of Google: the clouds that are off have none. */
const ALL = Object.keys(STEP_TITLES).filter((step) => !/^(aws|azure)-/.test(step));
const SERVICE_ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const LABEL = 'gke-metadata-server.matheuscscp.io/webhook';
const SLEEP = ['sleep', 'infinity'];
const TOKEN = 'http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token';

let world: NodeWorld;
let pods: Pods;
let kubectl: Kubectl;
let reader: string;

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  kubectl = await Kubectl.create(world.cluster.kubeconfig);
  reader = await world.addServiceAccount('reader');
});
afterAll(() => world?.[Symbol.asyncDispose]());

async function addServiceAccount(name: string, googleAccount: string): Promise<void> {
  const annotations = { 'iam.gke.io/gcp-service-account': googleAccount };
  await world.api.text('POST', SERVICE_ACCOUNTS, { body: { metadata: { name, annotations } } });
}

/** By `kubectl`, as a person does. */
function exec(namespace: string, pod: string, container: string, command: readonly string[]) {
  return kubectl.run(['exec', '--namespace', namespace, pod, '--container', container, '--', ...command]);
}

/** `explain` in the server's Pod. */
async function run(...args: string[]): Promise<Finished> {
  const [server] = await world.serverPods();
  if (server === undefined) throw new Error('no Pod of the server');
  return exec(SYSTEM, server.metadata.name, 'server', ['gke-metadata-server', 'explain', ...args]);
}

async function explained(name: string): Promise<Explanation> {
  const { exitCode, stdout, stderr } = await run('--json', `default/${name}`);
  expect(stderr.replace(/^command terminated with exit code 1\n$/, '')).toBe('');
  // what it prints is that
  const explanation = JSON.parse(stdout) as Explanation;
  expect({ exitCode, steps: explanation.steps.map(({ step }) => step) }).toEqual({
    exitCode: explanation.ok ? 0 : 1,
    steps: ALL as (typeof explanation.steps)[number]['step'][],
  });
  return explanation;
}

/** What failed, as `STEP: CODE`. */
function failures({ steps }: Explanation): string[] {
  return steps.flatMap(({ step, outcome, code }) => (outcome === 'failed' ? `${step}: ${code}` : []));
}

function summary({ steps }: Explanation, name: string): string | undefined {
  return steps.find(({ step }) => step === name)?.summary;
}

async function running(options: Omit<PodOptions, 'command' | 'serviceAccountName'> & Partial<PodOptions>) {
  await pods.create({ serviceAccountName: 'reader', command: SLEEP, ...options });
  await pods.running(options.name);
}

/** The status with which the server answers the Pod's own request for a token. */
async function statusOfToken(pod: string): Promise<string> {
  const flags = ['--silent', '--output', '/dev/null', '--write-out', '%{http_code}'];
  const command = ['curl', ...flags, '--header', 'Metadata-Flavor: Google', TOKEN];
  return (await world.api.exec(`/api/v1/namespaces/default/pods/${pod}`, 'main', command)).stdout;
}

test('a Pod that works has every step ok, in the text for a person too', async () => {
  await running({ name: 'works' });
  const explanation = await explained('works');
  expect(failures(explanation)).toEqual([]);
  expect(explanation).toMatchObject({ pod: 'default/works', node: world.cluster.nodeName, ok: true });
  expect(summary(explanation, 'access-token')).toBe(`of ${reader}`);
  expect(summary(explanation, 'id-token')).toBe(`of ${reader}, in one step`);
  expect(await statusOfToken('works')).toBe('200');
  const { exitCode, stdout } = await run('default/works');
  expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/\nEvery step is ok\.\n$/)]);
});

test('a Pod on the host network is its Node, and explain says if the Node has no ServiceAccount', async () => {
  await running({ name: 'host', spec: { hostNetwork: true } });
  expect(failures(await explained('host'))).toEqual(['service-account: node-without-service-account']);
  await world.setNodeServiceAccount('reader');
  const explanation = await explained('host');
  expect(failures(explanation)).toEqual([]);
  expect(summary(explanation, 'service-account')).toBe(
    `default/reader, the one of Node ${world.cluster.nodeName}`,
  );
});

test('a Pod that was not injected has no route, and all else', async () => {
  await running({ name: 'skipped', labels: { [LABEL]: 'Skip' } });
  expect(failures(await explained('skipped'))).toEqual(['route: route-missing']);
});

test('a Pod whose Google account does not let it has the refusal, and the server refuses it', async () => {
  await addServiceAccount('denied', reader);
  await running({ name: 'denied', serviceAccountName: 'denied' });
  const explanation = await explained('denied');
  expect(failures(explanation)).toEqual([
    'access-token: iam-permission-denied',
    'id-token: iam-permission-denied',
  ]);
  expect(explanation.steps.find(({ step }) => step === 'access-token')?.remedy).toContain(
    `add-iam-policy-binding ${reader}`,
  );
  expect(await statusOfToken('denied')).toBe('403');
});

test('a Pod whose annotation is not an email gets as far as that', async () => {
  await addServiceAccount('invalid', 'reader');
  await running({ name: 'invalid', serviceAccountName: 'invalid' });
  expect(failures(await explained('invalid'))).toEqual(['annotation: account-annotation-invalid']);
});

test('explain says that the ServiceAccount of a Pod was deleted', async () => {
  await world.addServiceAccount('deleted');
  await running({ name: 'orphan', serviceAccountName: 'deleted' });
  await world.api.text('DELETE', `${SERVICE_ACCOUNTS}/deleted`);
  expect(failures(await explained('orphan'))).toEqual(['service-account: service-account-missing']);
});

test('a Pod that has finished has no identity', async () => {
  await pods.run({ name: 'finished', serviceAccountName: 'reader', command: ['true'] });
  const explanation = await explained('finished');
  expect(failures(explanation)).toEqual(['running: pod-finished']);
  expect(summary(explanation, 'running')).toBe('it has finished: Succeeded');
});

test('a Pod that no Node fits is not scheduled', async () => {
  const spec = { nodeSelector: { elsewhere: 'true' } };
  await pods.create({ name: 'pending', serviceAccountName: 'reader', command: SLEEP, spec });
  expect(failures(await explained('pending'))).toContain('node: pod-not-scheduled');
});

test('a Pod whose init-network may change no network has its words, from the kubelet', async () => {
  const from = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const initContainer = {
    name: 'init-network',
    image: serverImage,
    imagePullPolicy: 'Never',
    args: ['init-network'],
    env: [
      from('HOST_IPS', 'status.hostIPs'),
      from('POD_IPS', 'status.podIPs'),
      from('POD_UID', 'metadata.uid'),
    ],
    securityContext: { capabilities: { drop: ['ALL'] } },
  };
  await pods.create({
    name: 'restricted',
    serviceAccountName: 'reader',
    command: SLEEP,
    labels: { [LABEL]: 'Skip' },
    spec: { restartPolicy: 'Always', initContainers: [initContainer] },
  });
  const explanation = await waitUntil('init-network fails', async () => {
    const seen = await explained('restricted');
    return summary(seen, 'route')?.startsWith('init-network fails') && seen;
  });
  expect(failures(explanation)).toContain('route: route-not-ready');
  expect(summary(explanation, 'route')).toStartWith('init-network fails: no redirect could be set up: ');
});

describe('all Pods of the Node', () => {
  interface Listed {
    readonly ok: boolean;
    readonly pods: readonly {
      readonly pod: string;
      readonly serviceAccount?: string;
      readonly clouds: { readonly google?: { readonly cached?: readonly { readonly kind: string }[] } };
    }[];
  }
  const listed = async (): Promise<Listed> => {
    const { exitCode, stdout, stderr } = await run('--json');
    expect([exitCode, stderr]).toEqual([0, '']);
    // what it prints is that
    return JSON.parse(stdout) as Listed;
  };
  const podOf = ({ pods: all }: Listed, pod: string) => all.find((each) => each.pod === pod);

  test('are listed with what the running server has cached, by its socket', async () => {
    await running({ name: 'listed' });
    expect(await statusOfToken('listed')).toBe('200');
    const explanation = await listed();
    expect(explanation.ok).toBe(true);
    const found = podOf(explanation, 'default/listed');
    expect(found?.serviceAccount).toBe('default/reader');
    expect(found?.clouds.google?.cached?.map(({ kind }) => kind)).toContain('access-token');
    const text = await run();
    expect([text.exitCode, text.stderr]).toEqual([0, '']);
    expect(text.stdout).toContain('\nPod default/listed, ServiceAccount default/reader\n');
    expect(text.stdout).toMatch(/access token cached until 20/);
  });

  test('cannot reach the socket, also from the host network: each Pod has a /dev/shm of its own', async () => {
    await running({ name: 'neighbour', spec: { hostNetwork: true } });
    const script = 'ls -A /dev/shm; grep -c gke-metadata-server- /proc/net/unix';
    const path = '/api/v1/namespaces/default/pods/neighbour';
    const { stdout } = await world.api.exec(path, 'main', ['sh', '-c', script]);
    // it sees that there is such a socket, but has no path to it
    expect(stdout).toMatch(/^[1-9]\d*\n$/);
  });

  test('the kubectl plugin finds the server of a Pod and of a Node, and passes its exit code', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plugin-'));
    try {
      await symlink(kubectl.program, join(folder, 'kubectl'));
      await copyFile(
        join(import.meta.dir, '../../scripts/kubectl-gke_metadata'),
        join(folder, 'kubectl-gke_metadata'),
      );
      const env = {
        PATH: `${folder}:/usr/bin:/bin`,
        HOME: folder,
        KUBECONFIG: world.cluster.kubeconfig,
      };
      const plugin = (...args: string[]) =>
        command([join(folder, 'kubectl'), 'gke-metadata', ...args], { env });
      await running({ name: 'plugged' });
      const works = await plugin('explain', 'default/plugged', '--json');
      expect(works.stderr).toBe('');
      expect([works.exitCode, JSON.parse(works.stdout)]).toMatchObject([
        0,
        { pod: 'default/plugged', ok: true },
      ]);
      await running({ name: 'unplugged', labels: { [LABEL]: 'Skip' } });
      const fails = await plugin('explain', 'default/unplugged');
      expect([fails.exitCode, fails.stdout]).toEqual([1, expect.stringContaining('\nFailed: route.\n')]);
      const { nodeName } = world.cluster;
      const node = await plugin('explain', '--node', nodeName, '--namespace', SYSTEM);
      expect([node.exitCode, node.stdout]).toEqual([0, expect.stringContaining(`Node ${nodeName}, `)]);
      const absent = await plugin('explain', 'default/absent');
      expect([absent.exitCode, absent.stderr]).toEqual([
        1,
        expect.stringContaining('error: cannot get Pod default/absent. '),
      ]);
      const elsewhere = await plugin('explain', '--node', 'elsewhere');
      expect([elsewhere.exitCode, elsewhere.stderr]).toEqual([
        1,
        expect.stringContaining('error: no metadata server is running on Node elsewhere. '),
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test('a Pod that does not exist is missing', async () => {
  expect(failures(await explained('absent'))).toEqual(['pod: pod-missing']);
});
