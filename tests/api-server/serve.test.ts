import { afterAll, beforeAll, expect, test } from 'bun:test';
import { decodeJwt, exportJWK, generateKeyPair } from 'jose';
import { ask } from '../../server/sandbox/ask.ts';
import { type AnyCluster, anyCluster } from '../cluster/any-cluster.ts';
import { type ServeProcess, startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld, type Made, type ServerNode } from './cluster-world.ts';

const longest = 180_000;
const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const READER = 'reader@cluster-project.iam.gserviceaccount.com';

let cluster: AnyCluster;
let world: ClusterWorld;
let node: ServerNode;
let serve: ServeProcess;
let reader: Made;

beforeAll(async () => {
  cluster = await anyCluster({ mode: 'api' });
  world = await ClusterWorld.start(cluster);
  await world.addServiceAccount('reader', READER);
  await world.addServiceAccount('direct');
  await world.addServiceAccount('denied', 'forbidden@cluster-project.iam.gserviceaccount.com', false);
  node = await world.addNode('a', 'reader');
  const { nodeName } = node;
  reader = await world.addPod({
    name: 'reader',
    nodeName,
    serviceAccountName: 'reader',
    address: '127.0.0.11',
  });
  await world.addPod({ name: 'direct', nodeName, serviceAccountName: 'direct', address: '127.0.0.12' });
  await world.addPod({ name: 'denied', nodeName, serviceAccountName: 'denied', address: '127.0.0.13' });
  serve = await startServe(node);
}, longest);
afterAll(async () => {
  await serve?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const token = (address: string) => ask(address, serve.port, `${ACCOUNT}/token`);

test('an annotated ServiceAccount: a token of its Google account, for one of the API server bound to the Pod', async () => {
  const { status, body } = await token('127.0.0.11');
  expect(status).toBe(200);
  expect(world.google.describe(JSON.parse(body).access_token)?.principal.member).toBe(
    `serviceAccount:${READER}`,
  );

  const claims = world.subjects.find(({ sub }) => sub?.endsWith(':reader'));
  expect(claims).toMatchObject({
    aud: [world.provider.audience],
    sub: `system:serviceaccount:${world.namespace}:reader`,
    'kubernetes.io': {
      namespace: world.namespace,
      node: { name: node.nodeName, uid: node.uid },
      pod: { name: 'reader', uid: reader.metadata.uid },
      serviceaccount: { name: 'reader' },
    },
  });
  // no longer than the least that the API server grants, plus what it adds for a token bound to a Pod
  expect(Number(claims?.exp) - Number(claims?.iat)).toBe(600);
  const identity = await ask('127.0.0.11', serve.port, `${ACCOUNT}/identity?audience=https://example.com`);
  expect(decodeJwt(identity.body)).toMatchObject({ aud: 'https://example.com', email: READER });
});

test("none: the federated token itself, of the ServiceAccount's own principal", async () => {
  const { status, body } = await token('127.0.0.12');
  expect(status).toBe(200);
  expect(world.google.describe(JSON.parse(body).access_token)?.principal.member).toBe(
    world.principal('direct'),
  );
});

test("one that it may not use: Google's refusal", async () => {
  const { status, body } = await token('127.0.0.13');
  expect(status).toBe(403);
  expect(body).toStartWith('Unable to generate access token; IAM returned 403 Forbidden');
});

test(
  'the Node itself: a token bound to the Node',
  async () => {
    const { nodeName, uid } = node;
    // another ServiceAccount than any Pod's, so that its token is asked for
    await world.addServiceAccount('node', READER);
    const keys = 'gke-metadata-server.matheuscscp.io';
    await world.api.text('PATCH', `/api/v1/nodes/${nodeName}`, {
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations: { [`${keys}/serviceAccountName`]: 'node' } } },
    });
    const claims = await waitUntil('the Node is its new ServiceAccount', async () => {
      expect((await token('127.0.0.1')).status).toBe(200);
      return world.subjects.find(({ sub }) => sub?.endsWith(':node'));
    });
    expect(claims).toMatchObject({
      aud: [world.provider.audience],
      'kubernetes.io': { node: { name: nodeName, uid }, serviceaccount: { name: 'node' } },
    });
    expect(claims['kubernetes.io']).not.toHaveProperty('pod');
  },
  longest,
);

test(
  'Google takes no token that another key has signed',
  async () => {
    const { publicKey } = await generateKeyPair('RS256');
    const otherKey = { ...(await exportJWK(publicKey)), alg: 'RS256' };
    const { issuer } = await world.api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
    await using elsewhere = await ClusterWorld.start(cluster);
    elsewhere.google.addProvider({ provider: elsewhere.provider, issuer, jwks: { keys: [otherKey] } });
    await elsewhere.addServiceAccount('direct');
    const there = await elsewhere.addNode('a');
    const pod = {
      name: 'direct',
      nodeName: there.nodeName,
      serviceAccountName: 'direct',
      address: '127.0.0.21',
    };
    await elsewhere.addPod(pod);
    await using untrusted = await startServe(there);
    const { status, body } = await ask('127.0.0.21', untrusted.port, `${ACCOUNT}/token`);
    expect([status, body]).toEqual([
      403,
      'Unable to generate federated token; STS returned 400 Bad Request: invalid_grant: Unable to verify the signature of the given ID Token.',
    ]);
  },
  longest,
);

test('the API server binds a token to a Pod of the ServiceAccount only, and to the Pod that is there', async () => {
  const request = (serviceAccountName: string, uid: string) =>
    world.requestToken({
      serviceAccountName,
      boundTo: { kind: 'Pod', name: 'reader', uid },
      as: node.token,
    });
  const outcomes = [
    await request('reader', reader.metadata.uid),
    await request('direct', reader.metadata.uid),
    await request('reader', crypto.randomUUID()),
  ].map(({ status, answer }) => [status, answer.message]);
  expect(outcomes).toEqual([
    [201, undefined],
    [
      400,
      expect.stringContaining('cannot bind token for serviceaccount "direct" to pod running with different'),
    ],
    [409, expect.stringContaining('does not match the UID in record')],
  ]);
});

test(
  "a deleted Pod: its address is nobody's, and no token is bound to it; its successor gets its own",
  async () => {
    // its host-network Pods are nobody, and so is an address of loopback that no Pod has
    const { nodeName, token: serverToken, ...others } = await world.addNode('b');
    await using serveB = await startServe({ nodeName, ...others }, '--cache-tokens-per-pod', 'true');
    await world.addServiceAccount('stateful');
    const pod = { name: 'stateful-0', nodeName, serviceAccountName: 'stateful', address: '127.0.0.31' };
    const first = await world.addPod(pod);
    const asked = () => ask('127.0.0.31', serveB.port, `${ACCOUNT}/token`);
    await waitUntil('the Pod has its token', async () => (await asked()).status === 200);

    await world.deletePod('stateful-0');
    const gone = await waitUntil('the Pod is gone', async () => {
      const answer = await asked();
      return answer.status !== 200 && answer;
    });
    expect([gone.status, gone.body]).toEqual([
      404,
      expect.stringContaining('This Node has no Kubernetes service'),
    ]);
    const boundTo = { kind: 'Pod', name: 'stateful-0', uid: first.metadata.uid };
    const late = { serviceAccountName: 'stateful', boundTo, as: serverToken };
    expect(await world.requestToken(late)).toMatchObject({ status: 404 });

    const second = await world.addPod(pod);
    await waitUntil('its successor has a token', async () => (await asked()).status === 200);
    expect(await world.requestToken(late)).toMatchObject({ status: 409 });
    const bound = world.subjects
      .filter(({ sub }) => sub?.endsWith(':stateful'))
      .map((claims) => (claims['kubernetes.io'] as { pod: { uid: string } }).pod.uid);
    expect(bound).toEqual([first.metadata.uid, second.metadata.uid]);
  },
  longest,
);
