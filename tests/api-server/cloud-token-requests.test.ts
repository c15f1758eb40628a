import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { decodeJwt } from 'jose';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { TwoNodes } from './two-nodes.ts';

const longest = 180_000;
const AWS = 'sts.amazonaws.com';
const AZURE = 'api://AzureADTokenExchange';
const ROLE = { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/app' };
const CLIENT = { 'azure.workload.identity/client-id': '22222222-2222-2222-2222-222222222222' };
const SERVED = { enabled: true, credentials: 'MetadataServer' };

const POLICY = /ValidatingAdmissionPolicy '.*-token-requests' with binding '.*' denied request: /;
const GUARD = /admission webhook "token-requests\.gke-metadata-server\.matheuscscp\.io" denied the request: /;
const ONE_AUDIENCE = 'for one audience, of a cloud that is switched on';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
}, longest);
afterAll(() => cluster?.stop());

/** `reader` is somebody in AWS and Azure, `writer` in AWS alone, and the Nodes' identities in neither. */
async function startNodes(values: Record<string, unknown>): Promise<TwoNodes> {
  const nodes = await TwoNodes.start(cluster, values);
  await annotate(nodes, 'reader', { ...ROLE, ...CLIENT });
  await annotate(nodes, 'writer', ROLE);
  return nodes;
}

function annotate({ world }: TwoNodes, name: string, annotations: Record<string, string>): Promise<void> {
  const metadata = { name, namespace: world.namespace, annotations };
  return world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
}

function forReader(nodes: TwoNodes, ...audiences: readonly string[]) {
  return { serviceAccountName: 'reader', audiences, boundTo: nodes.pod('reader-a') };
}

describe("with AWS and Azure switched on, a token stolen from Node A's server", () => {
  let nodes: TwoNodes;
  beforeAll(async () => {
    nodes = await startNodes({ aws: SERVED, azure: SERVED });
    await nodes.withPolicy();
    await nodes.withGuard();
  }, longest);
  afterAll(() => nodes?.[Symbol.asyncDispose]());

  test('gets a token for each cloud that the ServiceAccount of its own Pod is somebody in, and for that cloud alone', async () => {
    for (const audience of [nodes.world.provider.audience, AWS, AZURE]) {
      const { status, answer } = await nodes.stolen(forReader(nodes, audience));
      expect([audience, status]).toEqual([audience, 201]);
      expect(decodeJwt(answer.status.token).aud).toEqual([audience]);
    }
    const ofWriter = { serviceAccountName: 'writer', audiences: [AWS], boundTo: nodes.pod('writer-a') };
    expect(await nodes.stolen(ofWriter)).toMatchObject({ status: 201 });
  });

  test.each([
    ['two clouds at once', [AWS, AZURE]],
    ['Google and another cloud at once', ['GOOGLE', AWS]],
    ['a cloud twice', [AWS, AWS]],
    ['a cloud and another audience', [AZURE, 'https://example.com']],
    ['another audience', ['https://example.com']],
    ['EKS Pod Identity', ['pods.eks.amazonaws.com']],
    ['the Kubernetes API', []],
  ])('gets nothing for %s', async (_, audiences) => {
    const all = audiences.map((audience) =>
      audience === 'GOOGLE' ? nodes.world.provider.audience : audience,
    );
    const { status, answer } = await nodes.stolen(forReader(nodes, ...all));
    expect([status, answer.message]).toEqual([403, expect.stringMatching(POLICY)]);
    expect(answer.message).toContain(ONE_AUDIENCE);
  });

  test.each([AWS, AZURE])('gets nothing for %s unbound, or for longer than an hour', async (audience) => {
    const { boundTo, ...unbound } = forReader(nodes, audience);
    for (const request of [unbound, { ...unbound, boundTo, expirationSeconds: 3601 }]) {
      const { status, answer } = await nodes.stolen(request);
      expect([status, answer.message]).toEqual([403, expect.stringMatching(POLICY)]);
    }
  });

  test.each([AWS, AZURE])('gets nothing for %s for a Pod of Node B', async (audience) => {
    const { status, answer } = await nodes.stolen({
      ...forReader(nodes, audience),
      boundTo: nodes.pod('reader-b'),
    });
    expect([status, answer.message]).toEqual([403, expect.stringMatching(GUARD)]);
    expect(answer.message).toContain('does not run on Node');
  });

  test("gets nothing for a cloud whose annotation the Pod's ServiceAccount lacks", async () => {
    const ofWriter = { serviceAccountName: 'writer', audiences: [AZURE], boundTo: nodes.pod('writer-a') };
    const { status, answer } = await nodes.stolen(ofWriter);
    expect([status, answer.message]).toEqual([403, expect.stringMatching(GUARD)]);
    expect(answer.message).toContain('writer has no annotation azure.workload.identity/client-id');
  });

  test.each([AWS, AZURE])(
    "nothing for %s as the Node's identity, which is nobody there",
    async (audience) => {
      const ofNode = { serviceAccountName: 'node-a', audiences: [audience], boundTo: nodes.node(nodes.a) };
      const { status, answer } = await nodes.stolen(ofNode);
      expect([status, answer.message]).toEqual([403, expect.stringMatching(GUARD)]);
      expect(answer.message).toContain('node-a has no annotation');
      const forGoogle = { ...ofNode, audiences: [nodes.world.provider.audience] };
      expect(await nodes.stolen(forGoogle)).toMatchObject({ status: 201 });
    },
  );

  // the last, as it takes the annotation away
  test('nothing from when the annotation is gone', async () => {
    await annotate(nodes, 'writer', {});
    const ofWriter = { serviceAccountName: 'writer', audiences: [AWS], boundTo: nodes.pod('writer-a') };
    const { status, answer } = await nodes.stolen(ofWriter);
    expect([status, answer.message]).toEqual([403, expect.stringContaining('writer has no annotation')]);
  });
});

test(
  'a cloud that is off, or whose Pods get token files, gets no token, whoever is annotated',
  async () => {
    for (const azure of [{}, { enabled: true }]) {
      await using nodes = await startNodes({ aws: SERVED, azure });
      await nodes.withPolicy();
      await nodes.withGuard();
      expect(await nodes.stolen(forReader(nodes, AWS))).toMatchObject({ status: 201 });
      const { status, answer } = await nodes.stolen(forReader(nodes, AZURE));
      expect([status, answer.message]).toEqual([403, expect.stringMatching(POLICY)]);
      expect(answer.message).toContain(ONE_AUDIENCE);
    }
  },
  longest,
);

test(
  'the policy alone pins the audiences, and not who is somebody there; the guard alone the other way round',
  async () => {
    await using nodes = await startNodes({ aws: SERVED, azure: SERVED });
    const unannotated = { serviceAccountName: 'writer', audiences: [AZURE], boundTo: nodes.pod('writer-a') };
    await nodes.withPolicy();
    expect(await nodes.stolen(unannotated)).toMatchObject({ status: 201 });
    expect(await nodes.stolen(forReader(nodes, AWS, AZURE))).toMatchObject({ status: 403 });

    await using others = await startNodes({ aws: SERVED, azure: SERVED });
    await others.withGuard();
    await waitUntil('the guard refuses', async () => {
      const { status } = await others.stolen({ ...unannotated, boundTo: others.pod('writer-a') });
      return status === 403;
    });
    expect(await others.stolen(forReader(others, AWS, AZURE))).toMatchObject({ status: 201 });
  },
  longest,
);
