import { expect, test } from 'bun:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { StandInKubernetes } from '../stand-in-kubernetes.ts';
import { node, pod, serviceAccount } from './objects.ts';

const NOW = Date.parse('2026-03-04T05:06:07.890Z');
const ISSUED = Date.parse('2026-03-04T05:06:07Z') / 1000;

interface Body {
  readonly message: string;
  readonly reason: string;
  readonly details: { readonly causes: unknown };
  readonly spec: unknown;
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

/** A cluster with the Pod `p` of the account `robot` on `node-a`, and an account `other`. */
async function cluster() {
  const effects = { now: () => NOW, sleep: () => Promise.resolve() };
  const kubernetes = await new StandInKubernetes({ effects }).start();
  kubernetes.put(serviceAccount({ name: 'robot', namespace: 'ns', uid: 'uid-robot' }));
  kubernetes.put(serviceAccount({ name: 'other', namespace: 'ns', uid: 'uid-other' }));
  kubernetes.put(node({ name: 'node-a', uid: 'uid-node' }));
  kubernetes.put(
    pod({ name: 'p', namespace: 'ns', uid: 'uid-p', serviceAccountName: 'robot', nodeName: 'node-a' }),
  );
  return kubernetes;
}

async function ask(kubernetes: StandInKubernetes, account: string, spec: unknown) {
  const response = await fetch(`${kubernetes.url}/api/v1/namespaces/ns/serviceaccounts/${account}/token`, {
    method: 'POST',
    body: typeof spec === 'string' ? spec : JSON.stringify({ spec }),
  });
  // those fields that the tests then check
  return { status: response.status, body: (await response.json()) as Body };
}

async function claims(kubernetes: StandInKubernetes, token: string) {
  const keys = createRemoteJWKSet(new URL(`${kubernetes.url}/openid/v1/jwks`));
  const { payload, protectedHeader } = await jwtVerify(token, keys, { currentDate: new Date(NOW) });
  return { payload, protectedHeader };
}

const boundTo = (kind: string, name: string, uid?: string) => ({
  boundObjectRef: { kind, apiVersion: 'v1', name, ...(uid !== undefined && { uid }) },
});

test('a token bound to a Pod has the claims of a real one, verified by the served keys', async () => {
  await using kubernetes = await cluster();
  const { status, body } = await ask(kubernetes, 'robot', {
    audiences: ['//iam.example'],
    expirationSeconds: 600,
    ...boundTo('Pod', 'p', 'uid-p'),
  });
  const { payload, protectedHeader } = await claims(kubernetes, body.status.token);
  expect([status, body.status.expirationTimestamp, protectedHeader.alg]).toEqual([
    201,
    '2026-03-04T05:16:07Z',
    'RS256',
  ]);
  expect(payload).toEqual({
    iss: 'https://kubernetes.default.svc.cluster.local',
    sub: 'system:serviceaccount:ns:robot',
    aud: ['//iam.example'],
    iat: ISSUED,
    nbf: ISSUED,
    exp: ISSUED + 600,
    jti: expect.any(String),
    'kubernetes.io': {
      namespace: 'ns',
      node: { name: 'node-a', uid: 'uid-node' },
      pod: { name: 'p', uid: 'uid-p' },
      serviceaccount: { name: 'robot', uid: 'uid-robot' },
    },
  });
});

test('a token bound to a Node names the Node and no Pod', async () => {
  await using kubernetes = await cluster();
  const { body } = await ask(kubernetes, 'robot', boundTo('Node', 'node-a', 'uid-node'));
  expect((await claims(kubernetes, body.status.token)).payload['kubernetes.io']).toEqual({
    namespace: 'ns',
    node: { name: 'node-a', uid: 'uid-node' },
    serviceaccount: { name: 'robot', uid: 'uid-robot' },
  });
});

test('by default a token lives an hour, is for the API server itself and bound to nothing', async () => {
  await using kubernetes = await cluster();
  const { body } = await ask(kubernetes, 'robot', {});
  const { payload } = await claims(kubernetes, body.status.token);
  expect([payload.aud, payload.exp]).toEqual([[kubernetes.issuer], ISSUED + 3600]);
});

test('the Pod’s Node that is gone is named without a UID', async () => {
  await using kubernetes = await cluster();
  kubernetes.delete(node({ name: 'node-a' }));
  const { body } = await ask(kubernetes, 'robot', boundTo('Pod', 'p', 'uid-p'));
  expect((await claims(kubernetes, body.status.token)).payload['kubernetes.io']).toMatchObject({
    node: { name: 'node-a' },
  });
});

test('a lifetime longer than the API server allows is shortened', async () => {
  await using kubernetes = await cluster();
  kubernetes.limitTokenExpiration(900);
  const { status, body } = await ask(kubernetes, 'robot', { expirationSeconds: 7200 });
  expect([status, body.spec, body.status.expirationTimestamp]).toEqual([
    201,
    expect.objectContaining({ expirationSeconds: 900 }),
    '2026-03-04T05:21:07Z',
  ]);
});

const REFUSED: readonly [string, string, unknown, number, string, string][] = [
  ['no such account', 'none', {}, 404, 'NotFound', 'serviceaccounts "none" not found'],
  ['no such Pod', 'robot', boundTo('Pod', 'q'), 404, 'NotFound', 'pods "q" not found'],
  ['no such Node', 'robot', boundTo('Node', 'node-b'), 404, 'NotFound', 'nodes "node-b" not found'],
  [
    'a Pod of another account',
    'other',
    boundTo('Pod', 'p', 'uid-p'),
    400,
    'BadRequest',
    'cannot bind token for serviceaccount "other" to pod running with different serviceaccount name.',
  ],
  [
    'an earlier Pod of the name',
    'robot',
    boundTo('Pod', 'p', 'uid-old'),
    409,
    'Conflict',
    'Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (uid-old) does not match the UID ' +
      'in record. The object might have been deleted and then recreated',
  ],
  [
    'an earlier Node of the name',
    'robot',
    boundTo('Node', 'node-a', 'uid-old'),
    409,
    'Conflict',
    'Operation cannot be fulfilled on Node "node-a": the UID in the bound object reference (uid-old) does not match ' +
      'the UID in record. The object might have been deleted and then recreated',
  ],
  [
    'another kind',
    'robot',
    boundTo('ConfigMap', 'c'),
    400,
    'BadRequest',
    'cannot bind token to object of type v1, Kind=ConfigMap',
  ],
  [
    'less than ten minutes',
    'robot',
    { expirationSeconds: 599 },
    422,
    'Invalid',
    'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: ' +
      'may not specify a duration less than 10 minutes',
  ],
  [
    'more than 2^32 seconds',
    'robot',
    { expirationSeconds: 2 ** 32 + 1 },
    422,
    'Invalid',
    'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: ' +
      'may not specify a duration larger than 2^32 seconds',
  ],
  ['no JSON', 'robot', '{', 400, 'BadRequest', expect.stringContaining('the body is not JSON')],
  [
    'audiences of another form',
    'robot',
    { audiences: 'a' },
    400,
    'BadRequest',
    expect.stringContaining('audiences'),
  ],
  [
    'half seconds',
    'robot',
    { expirationSeconds: 600.5 },
    400,
    'BadRequest',
    expect.stringContaining('integer'),
  ],
];

test.each(REFUSED)('refuses %s', async (_, account, spec, status, reason, message) => {
  await using kubernetes = await cluster();
  expect(await ask(kubernetes, account, spec)).toMatchObject({
    status,
    body: { kind: 'Status', code: status, reason, message },
  });
});

test('the journal records what a token was requested for, and never the token', async () => {
  await using kubernetes = await cluster();
  const spec = { audiences: ['a'], expirationSeconds: 700, ...boundTo('Pod', 'p', 'uid-p') };
  const { body } = await ask(kubernetes, 'robot', spec);
  expect(kubernetes.journal.calls).toMatchObject([
    {
      verb: 'create',
      resource: 'serviceaccounts/token',
      namespace: 'ns',
      name: 'robot',
      audiences: ['a'],
      expirationSeconds: 700,
      boundObject: { kind: 'Pod', name: 'p', uid: 'uid-p' },
      status: 201,
    },
  ]);
  expect(JSON.stringify(kubernetes.journal.calls)).not.toContain(body.status.token);
});

test('discovery names the issuer and where its keys are', async () => {
  await using kubernetes = await cluster();
  const response = await fetch(`${kubernetes.url}/.well-known/openid-configuration`);
  expect(await response.json()).toMatchObject({
    issuer: kubernetes.issuer,
    jwks_uri: `${kubernetes.url}/openid/v1/jwks`,
    id_token_signing_alg_values_supported: ['RS256'],
  });
});
