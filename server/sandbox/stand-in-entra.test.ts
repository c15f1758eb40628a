import { expect, test } from 'bun:test';
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import { StandInEntra } from './stand-in-entra.ts';

const ISSUER = 'https://cluster.example/';
const TENANT = '11111111-2222-3333-4444-555555555555';
const CLIENT = 'aaaaaaaa-0000-0000-0000-000000000001';

/** An Entra with one tenant and one identity, and an assertion that it takes. */
async function started(options: ConstructorParameters<typeof StandInEntra>[0] = {}) {
  const entra = await new StandInEntra(options).start();
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  entra.issuers.publish(ISSUER, { keys: [await exportJWK(publicKey)] });
  entra.directory.addTenant({ id: TENANT, name: 'Contoso', domains: ['contoso.example'] });
  entra.directory.addIdentity({ tenantID: TENANT, clientID: CLIENT, kind: 'managed identity' });
  entra.directory.addFederatedCredential(TENANT, CLIENT, { issuer: ISSUER, subject: 'robot' });
  const assertion = await new SignJWT({ iss: ISSUER, sub: 'robot', aud: 'api://AzureADTokenExchange' })
    .setProtectedHeader({ alg: 'RS256' })
    .setExpirationTime('1h')
    .sign(privateKey);
  return Object.assign(entra, { assertion });
}

function ask(entra: StandInEntra & { assertion: string }, headers: Record<string, string> = {}) {
  return fetch(`${entra.url}/${TENANT}/oauth2/v2.0/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: CLIENT,
      scope: 'https://vault.azure.net/.default',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: entra.assertion,
    }),
  });
}

interface Body {
  readonly access_token: string;
  readonly token_endpoint: string;
  readonly jwks_uri: string;
  readonly error: string;
  readonly error_codes: readonly number[];
}

/** The fields that the tests then check. */
async function json(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

test('a client finds the token endpoint and the keys of its tokens by the discovery document', async () => {
  await using entra = await started();
  const document = await json(
    await fetch(`${entra.url}/contoso.example/v2.0/.well-known/openid-configuration`),
  );
  expect(document).toMatchObject({
    issuer: `${entra.url}/${TENANT}/v2.0`,
    token_endpoint: `${entra.url}/${TENANT}/oauth2/v2.0/token`,
  });
  const { access_token } = await json(await ask(entra));
  const { payload } = await jwtVerify(access_token, createRemoteJWKSet(new URL(document.jwks_uri)));
  expect(payload).toMatchObject({ aud: 'https://vault.azure.net', appid: CLIENT });
});

test('the discovery document names the host that the client asked', async () => {
  await using entra = await started();
  const response = await fetch(`${entra.url}/${TENANT}/v2.0/.well-known/openid-configuration`, {
    headers: { host: 'login.microsoftonline.com' },
  });
  expect((await json(response)).token_endpoint).toBe(
    `http://login.microsoftonline.com/${TENANT}/oauth2/v2.0/token`,
  );
});

test('an unknown tenant has no discovery document', async () => {
  await using entra = await started();
  const response = await fetch(
    `${entra.url}/ffffffff-0000-0000-0000-000000000000/v2.0/.well-known/openid-configuration`,
  );
  expect([response.status, (await json(response)).error_codes]).toEqual([400, [90002]]);
});

test('instance discovery knows the stand-in alone', async () => {
  await using entra = await started();
  const discover = (authority: string) => {
    const endpoint = encodeURIComponent(`${authority}/${TENANT}/oauth2/v2.0/authorize`);
    return fetch(`${entra.url}/common/discovery/instance?api-version=1.1&authorization_endpoint=${endpoint}`);
  };
  const { host } = new URL(entra.url);
  expect<unknown>(await json(await discover(entra.url))).toEqual({
    tenant_discovery_endpoint: `${entra.url}/${TENANT}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  });
  for (const authority of ['https://evil.example', 'nonsense']) {
    const response = await discover(authority);
    expect([response.status, (await json(response)).error]).toEqual([400, 'invalid_instance']);
  }
});

test('errors carry the client’s correlation ID and the time', async () => {
  const effects = { now: () => Date.parse('2026-03-04T05:06:07.890Z'), sleep: () => Promise.resolve() };
  await using entra = await started({ effects });
  const response = await fetch(`${entra.url}/${TENANT}/oauth2/v2.0/token`, {
    headers: { 'client-request-id': 'c0ffee' },
  });
  expect<unknown>([response.status, await response.json()]).toEqual([
    400,
    {
      error: 'invalid_request',
      error_description: expect.stringMatching(
        /^AADSTS900561: The endpoint only accepts POST requests\. Received a GET request\. Trace ID: \S{36} Correlation ID: c0ffee Timestamp: 2026-03-04 05:06:07Z$/,
      ),
      error_codes: [900561],
      timestamp: '2026-03-04 05:06:07Z',
      trace_id: expect.stringMatching(/^\S{36}$/),
      correlation_id: 'c0ffee',
      error_uri: 'https://login.microsoftonline.com/error?code=900561',
    },
  ]);
});

test('the journal tells who asked for what, without assertions and tokens', async () => {
  await using entra = await started();
  const { access_token } = await json(await ask(entra));
  await fetch(`${entra.url}/nowhere`);
  await fetch(`${entra.url}/nonsense/oauth2/v2.0/token`, { method: 'POST' });
  expect(entra.journal.calls).toMatchObject([
    {
      operation: 'token',
      tenant: TENANT,
      clientID: CLIENT,
      scope: 'https://vault.azure.net/.default',
      code: undefined,
      status: 200,
    },
    { operation: 'other', tenant: undefined, status: 404 },
    { operation: 'token', tenant: 'nonsense', code: 900023, status: 400 },
  ]);
  const journal = JSON.stringify(entra.journal.calls);
  expect([entra.assertion, access_token].filter((secret) => journal.includes(secret))).toEqual([]);
});

test('fails as configured, in Entra’s form', async () => {
  await using entra = await started();
  for (const status of [503, 429]) {
    entra.faults.token.failWith(status, 1);
    const response = await ask(entra);
    expect([response.status, (await json(response)).error]).toEqual([status, 'temporarily_unavailable']);
  }
  entra.faults.token.failWith('reset', 1);
  expect(await ask(entra).catch(() => 'cut')).toBe('cut');
  expect((await ask(entra)).status).toBe(200);
});

test('knows only tokens that it issued, until they expire', async () => {
  let now = Date.now();
  await using entra = await started({ effects: { now: () => now, sleep: () => Promise.resolve() } });
  const { access_token } = await json(await ask(entra));
  expect(await entra.describe(access_token)).toMatchObject({ clientID: CLIENT });
  expect(await entra.describe(entra.assertion)).toBeUndefined();
  now += 86_400_000;
  expect(await entra.describe(access_token)).toBeUndefined();
});

test.skipIf(OPENSSL_MISSING)('with a certificate its addresses are https', async () => {
  const tls = await selfSigned('stand-in');
  await using entra = await started({ tls });
  const response = await fetch(`${entra.url}/${TENANT}/v2.0/.well-known/openid-configuration`, {
    tls: { ca: tls.certificate },
  });
  expect(await json(response)).toMatchObject({
    token_endpoint: expect.stringMatching(/^https:\/\/127\.0\.0\.1:/),
  });
});

test('stopped and started again: the same address, keys and tokens', async () => {
  await using entra = await started();
  const { url } = entra;
  const { access_token } = await json(await ask(entra));
  await entra.stop();
  await entra.start();
  expect([entra.url, (await ask(entra)).status]).toEqual([url, 200]);
  expect(await entra.describe(access_token)).toMatchObject({ clientID: CLIENT });
});
