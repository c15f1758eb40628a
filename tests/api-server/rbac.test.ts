import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubernetesObject, ModuleValues } from '../../scripts/module/render.ts';
import { run } from '../../scripts/run.ts';
import { ask } from '../../server/sandbox/ask.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { metric } from '../metrics.ts';
import { readiness, serverProgram } from '../program.ts';
import { launchServe, type ServeProcess, startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld, type ServerNode } from './cluster-world.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const TOKEN = '/computeMetadata/v1/instance/service-accounts/default/token';

/** Of a ClusterRole. */
interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly userAgent?: string;
  readonly requestURI: string;
  readonly objectRef?: { readonly resource: string; readonly subresource?: string };
}

let folder: string;
let cluster: Cluster;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gkems-audit-'));
  const rules = [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }, { level: 'None' }];
  const policy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules };
  await Bun.write(join(folder, 'policy.yaml'), JSON.stringify(policy));
  const flags = [`--audit-policy-file=${folder}/policy.yaml`, `--audit-log-path=${folder}/audit.log`];
  cluster = await startCluster({ mode: 'api', certManager: true, apiServerFlags: flags });
}, longest);
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What the programs themselves have asked as this ServiceAccount, as `VERB RESOURCE`. */
async function used({ namespace }: ClusterWorld, serviceAccountName: string): Promise<string[]> {
  const username = `system:serviceaccount:${namespace}:${serviceAccountName}`;
  const events = (await Bun.file(join(folder, 'audit.log')).text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEvent) // audit.k8s.io/v1
    .filter(({ user, userAgent }) => user.username === username && userAgent === 'gke-metadata-server');
  const calls = events.map(({ verb, objectRef, requestURI }) => {
    // a non-resource path, such as that of the cluster's public keys, has no objectRef
    const { resource = requestURI, subresource } = objectRef ?? {};
    return `${verb} ${subresource === undefined ? resource : `${resource}/${subresource}`}`;
  });
  return [...new Set(calls)].sort();
}

/** What the ClusterRole of `server` or `webhook` allows, and the Roles of the webhook, likewise. */
function shipped(world: ClusterWorld, component: 'server' | 'webhook'): string[] {
  const roles = world.module.set(component).filter(({ kind }) => kind === 'Role');
  return [world.module.object('ClusterRole', component), ...roles]
    .flatMap(rulesOf)
    .flatMap(({ resources, verbs }) => resources.flatMap((name) => verbs.map((verb) => `${verb} ${name}`)))
    .sort();
}

function rulesOf({ rules }: KubernetesObject): readonly Rule[] {
  return rules as readonly Rule[]; // of a ClusterRole
}

async function oneNode(): Promise<{ world: ClusterWorld; node: ServerNode; address: string }> {
  const world = await ClusterWorld.start(cluster);
  await world.addServiceAccount('reader');
  const node = await world.addNode('a', 'reader');
  const address = '127.0.0.11';
  await world.addPod({ name: 'reader', nodeName: node.nodeName, serviceAccountName: 'reader', address });
  return { world, node, address };
}

/** As by `kubectl exec` in the server's Pod. */
async function explain(node: ServerNode, serve: ServeProcess, pod: string) {
  const kubeconfig = join(folder, `${node.nodeName}.kubeconfig`);
  await Bun.write(kubeconfig, node.kubeconfig, { mode: 0o600 });
  const env = {
    KUBECONFIG: kubeconfig,
    NODE_NAME: node.nodeName,
    PROJECT_ID: node.projectID,
    WORKLOAD_IDENTITY_PROVIDER: node.provider.name,
    GOOGLE_STS_ENDPOINT: node.google.url,
    GOOGLE_IAM_CREDENTIALS_ENDPOINT: node.google.url,
    SERVER_PORT: `${serve.port}`,
    HEALTH_PORT: `${serve.healthPort}`,
  };
  return run([...(await serverProgram()), 'explain', pod], { env });
}

test(
  'serve and explain use every verb that the ClusterRole of the server has, and no other',
  async () => {
    const { world, node, address } = await oneNode();
    await using _ = world;
    await using serve = await startServe(node);
    expect((await ask(address, serve.port, TOKEN)).status).toBe(200);
    await explain(node, serve, `${world.namespace}/reader`);
    // which Kubernetes lets every ServiceAccount do
    const discovery = 'get /openid/v1/jwks';
    const role = shipped(world, 'server');
    await waitUntil('the keys are asked for', async () =>
      (await used(world, world.module.serverAccount)).includes(discovery),
    );
    expect(await used(world, world.module.serverAccount)).toEqual([...role, discovery].sort());
  },
  longest,
);

test.each<[string, ModuleValues, number]>([
  ['', {}, 3],
  [' with a cloud switched on', { azure: { enabled: true } }, 4],
  [
    ' with roles in a ConfigMap',
    { aws: { enabled: true, configMap: { name: 'roles', namespace: 'default' } } },
    5,
  ],
])(
  'the webhook%s uses every verb that its roles have, and no other',
  async (_, values, count) => {
    await using injecting = await InjectingWebhook.start(cluster, { values });
    const { world } = injecting;
    await injecting.register();
    await injecting.create(await injecting.addNamespace(), {
      metadata: { name: 'app', labels: { 'azure.workload.identity/use': 'true' } },
      spec: { containers: [{ name: 'main', image: 'none' }] },
    });
    await injecting.webhook.register('ValidatingWebhookConfiguration');
    await world.addServiceAccount('reader');
    const { nodeName, uid, token } = await world.addNode('a', 'reader');
    const pod = await world.addPod({
      name: 'app',
      nodeName,
      serviceAccountName: 'reader',
      address: '127.0.0.11',
    });
    const request = { serviceAccountName: 'reader', as: token };
    await waitUntil('the webhook is asked', async () => (await world.requestToken(request)).status === 403);
    const bound = { kind: 'Pod', name: 'app', uid: pod.metadata.uid };
    for (const boundTo of [bound, { kind: 'Node', name: nodeName, uid }]) {
      expect(await world.requestToken({ ...request, boundTo })).toMatchObject({ status: 201 });
    }
    const roles = shipped(world, 'webhook');
    expect(roles).toHaveLength(count);
    expect(await used(world, world.module.webhookAccount)).toEqual(roles);
  },
  longest,
);

describe('without a verb, serve lacks only what it is for', () => {
  const refusedByRbac = 'The Kubernetes API server refused the metadata server';
  const failed = (serve: ServeProcess, resource: string) =>
    waitUntil(`the watch of ${resource} fails`, async () => {
      const labels = { resource, reason: 'failed' };
      return (await metric(serve.healthPort, 'gke_metadata_server_watch_restarts_total', labels)) > 0;
    });

  test.each([
    ['list pods', 'pods', 503],
    ['watch pods', 'pods', 200],
    ['list nodes', 'nodes', 503],
    ['watch nodes', 'nodes', 200],
  ] as const)(
    '%s: the replica cannot be kept',
    async (verb, resource, ready) => {
      await using without = await serveWithout(verb);
      await failed(without.serve, resource);
      expect(await readiness(without.serve.healthPort)).toBe(ready);
    },
    longest,
  );

  test.each(['get serviceaccounts', 'create serviceaccounts/token'])(
    '%s: no token',
    async (verb) => {
      await using without = await serveWithout(verb);
      await without.serve.ready();
      const { status, body } = await ask(without.address, without.serve.port, TOKEN);
      expect([status, body]).toEqual([403, expect.stringContaining(refusedByRbac)]);
    },
    longest,
  );

  test(
    'get pods: no explanation',
    async () => {
      await using without = await serveWithout('get pods');
      await without.serve.ready();
      expect((await ask(without.address, without.serve.port, TOKEN)).status).toBe(200);
      const { exitCode, stdout } = await explain(
        without.node,
        without.serve,
        `${without.world.namespace}/reader`,
      );
      expect([exitCode, stdout]).toEqual([1, expect.stringContaining('cannot get resource "pods"')]);
    },
    longest,
  );
});

/** A server whose ClusterRole lacks one `VERB RESOURCE`; it may never get ready. */
async function serveWithout(verbAndResource: string) {
  const [verb = '', resource = ''] = verbAndResource.split(' ');
  await using disposables = new AsyncDisposableStack();
  const { world, node, address } = await oneNode();
  disposables.use(world);
  const role = world.module.object('ClusterRole', 'server');
  const rules = rulesOf(role).map((rule) =>
    rule.resources.includes(resource) ? { ...rule, verbs: rule.verbs.filter((one) => one !== verb) } : rule,
  );
  expect(rules).not.toEqual([...rulesOf(role)]);
  await world.apply({ ...role, rules: rules.filter(({ verbs }) => verbs.length > 0) });
  await waitUntil('the verb is taken away', async () => !(await mayDo(world, node, verb, resource)));
  const serve = disposables.use(await launchServe(node));
  const undo = disposables.move();
  return { world, node, address, serve, [Symbol.asyncDispose]: () => undo.disposeAsync() };
}

async function mayDo(
  world: ClusterWorld,
  { token }: ServerNode,
  verb: string,
  name: string,
): Promise<boolean> {
  const [resource, subresource] = name.split('/');
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb, resource, subresource, namespace: world.namespace } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const { status } = await world.api.json<{ status: { allowed: boolean } }>('POST', path, { body, token });
  return status.allowed;
}
