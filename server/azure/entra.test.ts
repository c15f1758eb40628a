import { describe, expect, test } from 'bun:test';
import { Secret } from '../core/secret.ts';
import { Entra } from './entra.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const ASSERTION = { token: new Secret(`header.${'c'.repeat(100)}.signature`), expiresAt: NOW + 600_000 };
const IDENTITY = {
  clientID: '00000000-aaaa-bbbb-cccc-000000000001',
  tenantID: '00000000-aaaa-bbbb-cccc-000000000002',
};

async function exchange(response: Response | Error, resource = 'https://vault.azure.net') {
  const sent: { url: string; body: Record<string, string> }[] = [];
  const entra = new Entra('https://login.test', {
    now: () => NOW,
    fetch: async (url, init) => {
      sent.push({ url, body: Object.fromEntries(new URLSearchParams(String(init?.body))) });
      if (response instanceof Error) throw response;
      return response;
    },
  });
  const outcome = await entra
    .exchange(ASSERTION, IDENTITY, resource, new AbortController().signal)
    .catch((error: unknown) => error);
  return { outcome, sent };
}

const GRANTED = { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: 'granted' };

describe('Entra', () => {
  test('asks with the token of the cluster as the client assertion', async () => {
    const { outcome, sent } = await exchange(Response.json(GRANTED));
    expect(sent).toEqual([
      {
        url: `https://login.test/${IDENTITY.tenantID}/oauth2/v2.0/token`,
        body: {
          grant_type: 'client_credentials',
          client_id: IDENTITY.clientID,
          scope: 'https://vault.azure.net/.default',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: ASSERTION.token.reveal(),
        },
      },
    ]);
    expect(outcome).toMatchObject({
      expiresAt: NOW + 3_599_000,
      issuedAt: NOW,
      clientID: IDENTITY.clientID,
      resource: 'https://vault.azure.net',
    });
    expect((outcome as { token: Secret }).token.reveal()).toBe('granted');
  });

  test('appends /.default to the resource as it is given', async () => {
    const { sent } = await exchange(Response.json(GRANTED), 'https://database.windows.net/');
    expect(sent[0]?.body['scope']).toBe('https://database.windows.net//.default');
  });

  test('reports the first line of a refusal, with a remedy for its code and no token', async () => {
    const description =
      `AADSTS700213: No matching federated identity record found for presented assertion subject 'x' ${ASSERTION.token.reveal()}.\r\n` +
      'Trace ID: 1\r\nCorrelation ID: 2';
    const { outcome } = await exchange(
      Response.json({ error: 'invalid_client', error_description: description }, { status: 401 }),
    );
    expect(outcome).toMatchObject({
      code: 'entra-refused',
      transient: false,
      error: 'invalid_client',
      description:
        "AADSTS700213: No matching federated identity record found for presented assertion subject 'x' [redacted].",
      remedy: expect.stringContaining('system:serviceaccount:NAMESPACE:NAME'),
    });
  });

  test.each([
    ['no response', new Error('connection reset')],
    ['429', Response.json({ error: 'x' }, { status: 429, headers: { 'retry-after': '7' } })],
    ['500 of a proxy', new Response('<html>', { status: 502 })],
    ['its own word for it', Response.json({ error: 'temporarily_unavailable' }, { status: 400 })],
    ['a 200 without a token', Response.json({ ...GRANTED, access_token: '' })],
    ['a 200 whose token has expired', Response.json({ ...GRANTED, expires_in: 0 })],
    ['a 200 without an expiry', Response.json({ ...GRANTED, expires_in: undefined })],
    ['a 200 that is not JSON', new Response('<html>')],
  ])('is unavailable: %s', async (_, response) => {
    const { outcome } = await exchange(response);
    expect(outcome).toMatchObject({ code: 'entra-unavailable', transient: true });
  });

  test('passes Retry-After on', async () => {
    const { outcome } = await exchange(new Response('', { status: 429, headers: { 'retry-after': '7' } }));
    expect(outcome).toMatchObject({ retryAfter: 7000 });
  });
});
