import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ask } from '../../server/sandbox/ask.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import type { RegisteredWebhook } from './registered-webhook.ts';
import { BY_POLICY, OF_ANOTHER_NODE } from './stolen-token-requests.ts';
import { TwoNodes } from './two-nodes.ts';

const longest = 180_000;
const TOKEN = '/computeMetadata/v1/instance/service-accounts/default/token';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
}, longest);
afterAll(() => cluster?.stop());

const POLICY = /ValidatingAdmissionPolicy '.*-token-requests' with binding '.*' denied request: /;
const GUARD = /admission webhook "token-requests\.gke-metadata-server\.matheuscscp\.io" denied the request: /;

describe('a token stolen from the server of Node A', () => {
  let nodes: TwoNodes;
  let guard: RegisteredWebhook;
  beforeAll(async () => {
    nodes = await TwoNodes.start(cluster);
    await nodes.withPolicy();
    guard = await nodes.withGuard();
  }, longest);
  afterAll(() => nodes?.[Symbol.asyncDispose]());

  test("gets what that server gets: tokens for its own Pods, and for its own Node's identity", async () => {
    const pod = { serviceAccountName: 'reader', boundTo: nodes.pod('reader-a') };
    const node = { serviceAccountName: 'node-a', boundTo: nodes.node(nodes.a) };
    expect(await nodes.stolen(pod)).toMatchObject({ status: 201 });
    expect(await nodes.stolen(node)).toMatchObject({ status: 201 });
  });

  test.each(OF_ANOTHER_NODE)('gets nothing for %s', async (_, request, words) => {
    const { status, answer } = await nodes.stolen(request(nodes));
    expect(status).toBe(403);
    expect(answer.message).toMatch(GUARD);
    expect(answer.message).toContain(words);
  });

  test.each(BY_POLICY)('gets nothing %s', async (_, request, words) => {
    const { status, answer } = await nodes.stolen(request(nodes));
    expect(status).toBe(403);
    expect(answer.message).toMatch(POLICY);
    expect(answer.message).toContain(words);
  });

  test('the same for Node B the other way round', async () => {
    const request = { serviceAccountName: 'reader', as: nodes.b.token };
    const [own, others] = [nodes.pod('reader-b'), nodes.pod('reader-a')];
    expect(await nodes.world.requestToken({ ...request, boundTo: own })).toMatchObject({ status: 201 });
    expect(await nodes.world.requestToken({ ...request, boundTo: others })).toMatchObject({ status: 403 });
  });

  test("a token of the server's ServiceAccount that no Pod mounts gets nothing at all", async () => {
    const as = await nodes.world.tokenOf(nodes.world.module.serverAccount);
    const request = { serviceAccountName: 'reader', boundTo: nodes.pod('reader-a'), as };
    const { status, answer } = await nodes.world.requestToken(request);
    expect([status, answer.message]).toEqual([
      403,
      expect.stringContaining("the caller's token names no Node"),
    ]);
  });

  test('other callers get what they ask for, and the webhook does not hear of them', async () => {
    const { world } = nodes;
    await world.addServiceAccount('other');
    // the very role of the server, for another
    const subjects = [{ kind: 'ServiceAccount', name: 'other', namespace: world.namespace }];
    const metadata = { name: `${world.module.name}-other` };
    await world.apply({ ...world.module.object('ClusterRoleBinding', 'server'), metadata, subjects });

    const as = await world.tokenOf('other');
    const before = await guard.reviews('token-requests');
    const unbound = { serviceAccountName: 'reader', audiences: ['https://example.com'] };
    await waitUntil(
      'the other may',
      async () => (await world.requestToken({ ...unbound, as })).status === 201,
    );
    expect(await world.requestToken(unbound)).toMatchObject({ status: 201 });
    const ofNodeB = { serviceAccountName: 'reader', boundTo: nodes.pod('reader-b') };
    expect(await world.requestToken({ ...ofNodeB, as })).toMatchObject({ status: 201 });
    expect(await guard.reviews('token-requests')).toBe(before);

    await nodes.stolen({ serviceAccountName: 'reader', boundTo: nodes.pod('reader-a') });
    expect(await guard.reviews('token-requests')).toBe(before + 1);
  });
});

test(
  'the policy alone, with no webhook, pins audience, bound kind and lifetime, and not the Node of a Pod',
  async () => {
    await using nodes = await TwoNodes.start(cluster);
    await nodes.withPolicy();
    for (const [name, request, words] of BY_POLICY) {
      const { status, answer } = await nodes.stolen(request(nodes));
      expect([name, status, answer.message]).toEqual([name, 403, expect.stringContaining(words)]);
    }
    const ofNodeB = { serviceAccountName: 'reader', boundTo: nodes.pod('reader-b') };
    expect(await nodes.stolen(ofNodeB)).toMatchObject({ status: 201 });
  },
  longest,
);

test(
  'the guard alone, with no policy, pins all but audience and lifetime',
  async () => {
    await using nodes = await TwoNodes.start(cluster);
    await nodes.withGuard();
    for (const [name, request, byPolicy, byGuard] of [...OF_ANOTHER_NODE, ...BY_POLICY]) {
      const { status, answer } = await nodes.stolen(request(nodes));
      const words = byGuard ?? byPolicy;
      if (name.startsWith('for ')) expect([name, status]).toEqual([name, 201]);
      else expect([name, status, answer.message]).toEqual([name, 403, expect.stringContaining(words)]);
    }
  },
  longest,
);

test(
  'with one replica gone the other is asked; with both, cached tokens are served on and new ones get a clear 503',
  async () => {
    await using nodes = await TwoNodes.start(cluster);
    await nodes.withPolicy();
    const guard = await nodes.withGuard(2);
    await using serve = await startServe(nodes.a);
    const [first, second] = guard.replicas;
    const cached = await ask('127.0.1.11', serve.port, TOKEN);
    expect(cached.status).toBe(200);

    await first?.end('SIGKILL');
    const ownPod = { serviceAccountName: 'reader', boundTo: nodes.pod('reader-a') };
    // what the API server sends before it has seen the end of a connection is lost: the server tries that again
    await waitUntil('the other is asked', async () => (await nodes.stolen(ownPod)).status === 201);
    for (let request = 0; request < 10; request++) {
      expect(await nodes.stolen(ownPod)).toMatchObject({ status: 201 });
    }

    await second?.end('SIGKILL');
    const { status, answer } = await nodes.stolen(ownPod);
    expect([status, answer.message]).toEqual([500, expect.stringContaining('failed calling webhook')]);
    const unbound = await nodes.stolen({ serviceAccountName: 'reader' });
    expect([unbound.status, unbound.answer.message]).toEqual([403, expect.stringMatching(POLICY)]);

    expect((await ask('127.0.1.11', serve.port, TOKEN)).body).toContain(JSON.parse(cached.body).access_token);
    const refused = await ask('127.0.1.12', serve.port, TOKEN);
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    expect(refused.body).toBe(
      'The Kubernetes API server, or a webhook that it asks, does not answer; try again.\n',
    );

    const { log } = await serve.end('SIGTERM');
    expect(log).toContain('failed calling webhook');
  },
  longest,
);
