import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  calculateJwkThumbprint,
  decodeJwt,
  exportJWK,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { StandInEntra } from '../stand-in-entra.ts';

const NOW = Date.parse('2026-03-04T05:06:07Z');
const SECONDS = NOW / 1000;
const ISSUER = 'https://cluster.example/';
const SUBJECT = 'system:serviceaccount:ns:Robot';
const AUDIENCE = 'api://AzureADTokenExchange';
const TENANT = '11111111-2222-3333-4444-555555555555';
const APPLICATION = 'aaaaaaaa-0000-0000-0000-000000000001';
const MANAGED = 'aaaaaaaa-0000-0000-0000-000000000002';
const BARE = 'aaaaaaaa-0000-0000-0000-000000000003';
const SCOPE = 'https://vault.azure.net/.default';

let entra: StandInEntra;
let key: Key;

interface Key {
  readonly pair: CryptoKeyPair;
  readonly kid: string;
}

async function newKey(): Promise<Key> {
  const pair = await generateKeyPair('RS256');
  return { pair, kid: await calculateJwkThumbprint(pair.publicKey) };
}

beforeAll(async () => {
  key = await newKey();
  entra = await new StandInEntra({ effects: { now: () => NOW, sleep: () => Promise.resolve() } }).start();
  entra.issuers.publish(ISSUER, {
    keys: [{ ...(await exportJWK(key.pair.publicKey)), kid: key.kid, use: 'sig', alg: 'RS256' }],
  });
  const { directory } = entra;
  directory.addTenant({ id: TENANT, name: 'Contoso', domains: ['contoso.example'] });
  directory.addIdentity({ tenantID: TENANT, clientID: APPLICATION, kind: 'application' });
  directory.addIdentity({ tenantID: TENANT, clientID: MANAGED, kind: 'managed identity' });
  directory.addIdentity({ tenantID: TENANT, clientID: BARE, kind: 'managed identity' });
  for (const clientID of [APPLICATION, MANAGED]) {
    directory.addFederatedCredential(TENANT, clientID, { issuer: ISSUER, subject: SUBJECT });
  }
  for (const issuer of ['https://private.example', 'https://down.example']) {
    directory.addFederatedCredential(TENANT, MANAGED, { issuer, subject: SUBJECT });
  }
  // a port that refuses connections
  entra.issuers.publish('https://down.example', new URL('http://127.0.0.1:1/jwks'));
});
afterAll(() => entra.stop());

const CLAIMS: JWTPayload = {
  iss: ISSUER,
  sub: SUBJECT,
  aud: [AUDIENCE],
  iat: SECONDS - 10,
  nbf: SECONDS - 10,
  exp: SECONDS + 3600,
};

function sign(claims: JWTPayload, { pair, kid } = key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(pair.privateKey);
}

interface Body {
  readonly access_token: string;
  readonly expires_in: number;
  readonly error: string;
  readonly error_codes: readonly number[];
  readonly error_description: string;
}

async function ask(form: Record<string, string | undefined>, tenant = TENANT) {
  const parameters = new URLSearchParams();
  const all = {
    grant_type: 'client_credentials',
    client_id: MANAGED,
    scope: SCOPE,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    ...form,
  };
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) parameters.set(name, value);
  }
  const response = await fetch(`${entra.url}/${tenant}/oauth2/v2.0/token`, {
    method: 'POST',
    body: parameters,
  });
  // those fields that the tests then check
  return { status: response.status, body: (await response.json()) as Body };
}

/** Status, code, error and text, without the IDs that differ each time. */
async function refusalOf(form: Record<string, string | undefined>, tenant?: string) {
  const { status, body } = await ask({ client_assertion: await sign(CLAIMS), ...form }, tenant);
  const [text = ''] = body.error_description.split(' Trace ID: ');
  // the code stands in the text, too
  return [status, body.error, ...body.error_codes, text.replace(`AADSTS${body.error_codes[0]}: `, '')];
}

test.each([
  ['an application', APPLICATION, 3599],
  ['a managed identity', MANAGED, 86_399],
])('a token of the cluster becomes one of %s', async (_, clientID, lifetime) => {
  const { status, body } = await ask({ client_id: clientID, client_assertion: await sign(CLAIMS) });
  expect<unknown>([status, body]).toEqual([
    200,
    {
      token_type: 'Bearer',
      expires_in: lifetime,
      ext_expires_in: lifetime,
      access_token: expect.any(String),
    },
  ]);
  expect(await entra.describe(body.access_token)).toEqual({
    tenantID: TENANT,
    clientID,
    resource: 'https://vault.azure.net',
    expiresAt: NOW + lifetime * 1000,
  });
  const { oid, ...claims } = decodeJwt(body.access_token);
  expect(claims).toMatchObject({
    sub: oid,
    iss: `https://sts.windows.net/${TENANT}/`,
    idtyp: 'app',
    ver: '1.0',
  });
});

test.each([
  ['the tenant by its domain', {}, 'contoso.example', 'https://vault.azure.net'],
  ['IDs in capitals', { client_id: MANAGED.toUpperCase() }, TENANT.toUpperCase(), 'https://vault.azure.net'],
  [
    'scopes of OpenID beside the resource',
    { scope: `openid offline_access profile ${SCOPE}` },
    TENANT,
    'https://vault.azure.net',
  ],
  [
    'a resource that ends with a slash',
    { scope: 'https://database.windows.net//.default' },
    TENANT,
    'https://database.windows.net/',
  ],
])('takes %s', async (_, form, tenant, resource) => {
  const { body } = await ask({ client_assertion: await sign(CLAIMS), ...form }, tenant);
  expect(await entra.describe(body.access_token)).toMatchObject({ clientID: MANAGED, resource });
});

test('a resource that was added', async () => {
  const form = { client_assertion: await sign(CLAIMS), scope: 'api://added/.default' };
  expect((await ask(form)).body.error_codes).toEqual([500011]);
  entra.resources.add('api://added');
  expect((await ask(form)).status).toBe(200);
});

const CHECK =
  'Check your federated identity credential Subject, Audience and Issuer against the presented assertion. ' +
  'https://learn.microsoft.com/entra/workload-id/workload-identity-federation';
const NONE = 'No matching federated identity record found for presented assertion';

test.each<[string, JWTPayload, number, string]>([
  [
    'of another issuer',
    { iss: 'https://evil.example/' },
    700211,
    `${NONE} issuer 'https://evil.example/'. ${CHECK}`,
  ],
  [
    'whose issuer lacks the slash',
    { iss: 'https://cluster.example' },
    700211,
    `${NONE} issuer 'https://cluster.example'. ${CHECK}`,
  ],
  [
    'for another audience',
    { aud: ['sts.amazonaws.com'] },
    700212,
    `${NONE} audience 'sts.amazonaws.com'. ${CHECK}`,
  ],
  [
    'for the audience in another case',
    { aud: 'api://azureadtokenexchange' },
    700212,
    `${NONE} audience 'api://azureadtokenexchange'. ${CHECK}`,
  ],
  [
    'of another ServiceAccount',
    { sub: 'system:serviceaccount:ns:other' },
    700213,
    `${NONE} subject 'system:serviceaccount:ns:other'. ${CHECK}`,
  ],
  [
    'of the ServiceAccount in another case',
    { sub: 'system:serviceaccount:ns:robot' },
    7002138,
    `${NONE} subject 'system:serviceaccount:ns:robot'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. ${CHECK}`,
  ],
  [
    'that has expired',
    { exp: SECONDS - 300 },
    700024,
    'Client assertion is not within its valid time range. Current time: 2026-03-04T05:06:07.0000000Z, assertion valid from ' +
      '2026-03-04T05:05:57.0000000Z, expiry time of assertion 2026-03-04T05:01:07.0000000Z. Review the documentation at ' +
      'https://learn.microsoft.com/entra/identity-platform/certificate-credentials .',
  ],
])('refuses an assertion %s', async (_, claims, code, text) => {
  const client_assertion = await sign({ ...CLAIMS, ...claims });
  expect(await refusalOf({ client_assertion })).toEqual([401, 'invalid_client', code, text]);
});

test('refuses an assertion that is not valid yet', async () => {
  const client_assertion = await sign({ ...CLAIMS, nbf: SECONDS + 301 });
  expect((await refusalOf({ client_assertion }))[2]).toBe(700024);
});

test('refuses an assertion signed by an unknown key, and a forged one', async () => {
  const other = await newKey();
  const unknown = await refusalOf({ client_assertion: await sign(CLAIMS, other) });
  expect(unknown.slice(0, 3)).toEqual([401, 'invalid_client', 7000272]);
  const [header, , signature] = (await sign(CLAIMS)).split('.');
  const payload = Buffer.from(JSON.stringify({ ...CLAIMS, exp: SECONDS + 7200 })).toString('base64url');
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
  for (const client_assertion of [
    await sign(CLAIMS, { ...other, kid: key.kid }),
    `${header}.${payload}.${signature}`,
    `${unsigned}.${payload}.`,
  ]) {
    expect((await refusalOf({ client_assertion })).slice(0, 3)).toEqual([401, 'invalid_client', 700027]);
  }
});

test.each([
  ['not a JWT', 'nonsense'],
  ['without claims', `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.e30.AA`],
])('refuses an assertion that is %s', async (_, client_assertion) => {
  expect(await refusalOf({ client_assertion })).toEqual([
    400,
    'invalid_request',
    50027,
    'JWT token is invalid or malformed.',
  ]);
});

test.each(['https://private.example', 'https://down.example'])('cannot get the keys of %s', async (iss) => {
  expect(await refusalOf({ client_assertion: await sign({ ...CLAIMS, iss }) })).toEqual([
    400,
    'invalid_request',
    501661,
    'Request to External OIDC endpoint failed.',
  ]);
});

test('an identity without federated credentials', async () => {
  expect(await refusalOf({ client_id: BARE })).toEqual([
    401,
    'invalid_client',
    70025,
    `The client '${BARE}' has no configured federated identity credentials.`,
  ]);
});

const ABSENT = 'ffffffff-0000-0000-0000-000000000000';

test.each<[Record<string, string | undefined>, string, string, number, RegExp]>([
  [
    {},
    ABSENT,
    'invalid_request',
    90002,
    /^Tenant 'ffffffff-0000-0000-0000-000000000000' not found\. Check to make sure/,
  ],
  [{}, 'other.example', 'invalid_request', 90002, /^Tenant 'other.example' not found/],
  [
    {},
    'nonsense',
    'invalid_request',
    900023,
    /^Specified tenant identifier 'nonsense' is neither a valid DNS name/,
  ],
  [
    { client_id: ABSENT },
    TENANT,
    'unauthorized_client',
    700016,
    /^Application with identifier 'ffffffff-0000-0000-0000-000000000000' was not found in the directory 'Contoso'/,
  ],
  [{ client_id: undefined }, TENANT, 'invalid_request', 900144, /parameter: 'client_id'\.$/],
  [{ scope: undefined }, TENANT, 'invalid_request', 900144, /parameter: 'scope'\.$/],
  [{ grant_type: undefined }, TENANT, 'invalid_request', 900144, /parameter: 'grant_type'\.$/],
  [
    { grant_type: 'password' },
    TENANT,
    'unsupported_grant_type',
    70003,
    /^The app requested an unsupported grant type 'password'/,
  ],
  [
    { scope: 'https://vault.azure.net/user_impersonation' },
    TENANT,
    'invalid_scope',
    1002012,
    /must have a scope value with \/\.default suffixed/,
  ],
  [
    { scope: 'openid' },
    TENANT,
    'invalid_scope',
    1002012,
    /^The provided value for scope openid is not valid/,
  ],
  [
    { scope: 'vault/.default' },
    TENANT,
    'invalid_scope',
    70011,
    /^The provided request must include a 'scope' input parameter/,
  ],
  [
    { scope: `${SCOPE} https://graph.microsoft.com/.default` },
    TENANT,
    'invalid_scope',
    28000,
    /because it contains more than one resource/,
  ],
  [
    { scope: 'https://unknown.example/.default' },
    TENANT,
    'invalid_resource',
    500011,
    /^The resource principal named https:\/\/unknown\.example was not found in the tenant named Contoso/,
  ],
])('refuses %j of tenant %s', async (form, tenant, error, code, text) => {
  expect(await refusalOf(form, tenant)).toEqual([400, error, code, expect.stringMatching(text)]);
});

test.each([
  { client_assertion: undefined },
  { client_assertion_type: undefined },
  { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
])('refuses %j', async (form) => {
  const refusal = await refusalOf(form);
  expect(refusal.slice(0, 3)).toEqual([401, 'invalid_client', 7000218]);
});

test('an identity has at most twenty federated credentials', () => {
  const { directory } = entra;
  const clientID = 'aaaaaaaa-0000-0000-0000-000000000004';
  directory.addIdentity({ tenantID: TENANT, clientID, kind: 'application' });
  const add = (subject: string) =>
    directory.addFederatedCredential(TENANT, clientID, { issuer: ISSUER, subject });
  for (let i = 0; i < 20; i++) add(`${i}`);
  expect(() => add('20')).toThrow('an identity has at most 20 federated credentials');
});
