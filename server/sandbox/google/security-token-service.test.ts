import { afterAll, beforeAll, expect, test } from 'bun:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { WorkloadIdentityProvider } from '../../google/workload-identity-provider.ts';
import { StandInGoogle } from '../stand-in-google.ts';
import { StandInKubernetes } from '../stand-in-kubernetes.ts';

const NOW = Date.parse('2026-03-04T05:06:07Z');
const SECONDS = NOW / 1000;
const ISSUER = 'https://cluster.example';
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const provider = WorkloadIdentityProvider.parse(
  'projects/42/locations/global/workloadIdentityPools/pool/providers/cluster',
);

interface Body {
  readonly access_token: string;
  readonly error: string;
  readonly error_description: string;
}

let google: StandInGoogle;
let key: CryptoKeyPair;

beforeAll(async () => {
  key = await generateKeyPair('RS256');
  google = await new StandInGoogle({ effects: { now: () => NOW, sleep: () => Promise.resolve() } }).start();
  const jwks = { keys: [await exportJWK(key.publicKey)] };
  google.addProvider({
    provider,
    issuer: ISSUER,
    jwks,
    attributeCondition: ({ forbidden }) => forbidden !== true,
  });
});
afterAll(() => google.stop());

const CLAIMS: JWTPayload = {
  iss: ISSUER,
  sub: 'system:serviceaccount:ns:robot',
  aud: [provider.audience],
  iat: SECONDS - 10,
  exp: SECONDS + 600,
};

function sign(claims: JWTPayload, signer = key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(signer.privateKey);
}

const FORM = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  audience: provider.audience,
  scope: CLOUD_PLATFORM,
  requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
};

async function exchange(form: Record<string, string>, to = google) {
  const response = await fetch(`${to.url}/v1/token`, { method: 'POST', body: new URLSearchParams(form) });
  // those fields that the tests then check
  return { status: response.status, body: (await response.json()) as Body };
}

test('a token of the cluster becomes a federated one of its subject, as long as Google’s', async () => {
  const answer = await exchange({ ...FORM, subject_token: await sign(CLAIMS) });
  const issued = google.describe(answer.body.access_token);
  expect(answer).toMatchObject({
    status: 200,
    body: {
      access_token: expect.stringMatching(/^ya29\.d\.[\w-]{1000,}$/),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 600,
    },
  });
  const pool = 'iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/pool';
  expect(issued).toEqual({
    principal: {
      kind: 'federated',
      member: `principal://${pool}/subject/system:serviceaccount:ns:robot`,
      memberOf: [`principalSet://${pool}/*`],
    },
    scopes: [CLOUD_PLATFORM],
    expiresAt: NOW + 600_000,
  });
});

test.each([
  ['the https form of the audience', { aud: `https:${provider.audience}` }, 600],
  ['a subject of 127 bytes', { sub: 's'.repeat(127) }, 600],
  ['a token of a day, for an hour at most', { iat: SECONDS, exp: SECONDS + 24 * 3600 }, 3600],
])('takes %s', async (_, claims, expiresIn) => {
  expect(await exchange({ ...FORM, subject_token: await sign({ ...CLAIMS, ...claims }) })).toMatchObject({
    status: 200,
    body: { expires_in: expiresIn },
  });
});

test('expires_in can be left out', async () => {
  google.sts.omitExpiresIn = true;
  const { status, body } = await exchange({ ...FORM, subject_token: await sign(CLAIMS) });
  google.sts.omitExpiresIn = false;
  expect([status, Object.keys(body)]).toEqual([200, ['access_token', 'issued_token_type', 'token_type']]);
});

test.each([
  ['expired', { exp: SECONDS }, 'invalid_grant', `ID Token issued at ${SECONDS - 10} is stale to sign-in.`],
  [
    'from the future',
    { iat: SECONDS + 120 },
    'invalid_grant',
    `ID Token issued at ${SECONDS + 120} is stale to sign-in.`,
  ],
  ['for longer than a day', { iat: SECONDS, exp: SECONDS + 86_401 }, 'invalid_grant', /longer than 24 hours/],
  [
    'of another issuer',
    { iss: 'https://evil.example' },
    'invalid_grant',
    /^The issuer in ID Token https:\/\/evil/,
  ],
  [
    'for another audience',
    { aud: ['https://kubernetes.default.svc'] },
    'invalid_grant',
    'The audience in ID Token [https://kubernetes.default.svc] does not match the expected audience.',
  ],
  ['without an audience', { aud: [] }, 'invalid_grant', /does not match the expected audience/],
  ['without a subject', { sub: '' }, 'invalid_grant', /lacks one of the claims/],
  ['with a subject of 128 bytes', { sub: 's'.repeat(128) }, 'invalid_request', /exceeds the 127 bytes limit/],
  [
    'with a subject of 128 bytes, fewer characters',
    { sub: 'ü'.repeat(64) },
    'invalid_request',
    /exceeds the 127/,
  ],
  ['that the attribute condition rejects', { forbidden: true }, 'unauthorized_client', /attribute condition/],
])('refuses a token %s', async (_, claims, error, description) => {
  const { status, body } = await exchange({ ...FORM, subject_token: await sign({ ...CLAIMS, ...claims }) });
  expect([status, body.error]).toEqual([400, error]);
  expect(body.error_description).toMatch(description);
});

test('refuses a token signed by another key, one that was changed, and what is not a token', async () => {
  const forged = await sign(CLAIMS, await generateKeyPair('RS256'));
  const [header, , signature] = (await sign(CLAIMS)).split('.');
  const payload = Buffer.from(JSON.stringify({ ...CLAIMS, sub: 'system:serviceaccount:ns:other' }));
  const changed = `${header}.${payload.toString('base64url')}.${signature}`;
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload.toString('base64url')}.`;
  for (const subject_token of [forged, changed, unsigned, 'nonsense']) {
    expect(await exchange({ ...FORM, subject_token })).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant', error_description: expect.stringContaining('signature') },
    });
  }
});

test.each([
  ['grant_type', 'authorization_code', 'unsupported_grant_type'],
  ['requested_token_type', 'urn:ietf:params:oauth:token-type:id_token', 'invalid_request'],
  ['subject_token_type', 'urn:ietf:params:oauth:token-type:saml2', 'invalid_request'],
  ['subject_token', '', 'invalid_request'],
  ['scope', '', 'invalid_request'],
  ['scope', `${CLOUD_PLATFORM} nonsense`, 'invalid_scope'],
  ['audience', '', 'invalid_request'],
  ['audience', `https:${provider.audience}`, 'invalid_request'],
  ['audience', provider.audience.replace('cluster', 'unknown'), 'invalid_target'],
])('refuses %s %s', async (parameter, value, error) => {
  const form = { ...FORM, subject_token: await sign(CLAIMS), [parameter]: value };
  expect(await exchange(form)).toMatchObject({ status: 400, body: { error } });
});

test('refuses a body that is not a form', async () => {
  const response = await fetch(`${google.url}/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: new URLSearchParams({ ...FORM, subject_token: await sign(CLAIMS) }).toString(),
  });
  expect([response.status, await response.json()]).toEqual([
    400,
    expect.objectContaining({ error: 'invalid_request' }),
  ]);
});

test('fetches the keys of a cluster from its URL, and says so if it cannot', async () => {
  await using kubernetes = await new StandInKubernetes({ issuer: ISSUER }).start();
  await using other = await new StandInGoogle().start();
  other.addProvider({ provider, issuer: ISSUER, jwks: new URL(`${kubernetes.url}/openid/v1/jwks`) });
  const form = { ...FORM, subject_token: await sign(CLAIMS) };
  expect(await exchange(form, other)).toMatchObject({
    body: { error_description: expect.stringContaining('signature') },
  });
  expect(kubernetes.journal.count(({ resource }) => resource === 'openid')).toBe(1);
  kubernetes.faults.openid.failWith('reset');
  await using unreachable = await new StandInGoogle().start();
  unreachable.addProvider({ provider, issuer: ISSUER, jwks: new URL(`${kubernetes.url}/openid/v1/jwks`) });
  expect(await exchange(form, unreachable)).toMatchObject({
    status: 400,
    body: { error: 'invalid_grant', error_description: "Error connecting to the given credential's issuer." },
  });
});
