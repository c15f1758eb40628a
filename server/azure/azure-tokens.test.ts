import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Secret } from '../core/secret.ts';
import { ExchangeLimits } from '../credentials/exchange-limits.ts';
import type { TokenRequest } from '../kubernetes/client.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { AzureTokens } from './azure-tokens.ts';

const MINUTE = 60_000;
const CLIENT = '00000000-aaaa-bbbb-cccc-000000000001';
const OTHER_CLIENT = '00000000-aaaa-bbbb-cccc-000000000003';
const TENANT = '00000000-aaaa-bbbb-cccc-000000000002';
const VAULT = 'https://vault.azure.net';
const ANNOTATIONS = {
  'azure.workload.identity/client-id': CLIENT,
  'azure.workload.identity/tenant-id': TENANT,
};

function caller(pod = 'pod-1', annotations: Record<string, string> = ANNOTATIONS): Caller {
  return {
    serviceAccount: { namespace: 'ns', name: 'app', uid: 'sa-uid', annotations },
    boundTo: { kind: 'Pod', name: pod, uid: `uid of ${pod}` },
  };
}

function setUp({ podExchangesPerMinute = 60 } = {}) {
  const clock = new ManualClock();
  const tokenRequests: TokenRequest[] = [];
  const posts: { url: string; form: Record<string, string> }[] = [];
  const logged: object[] = [];
  const lookups: string[] = [];
  const exchanged: string[] = [];
  const refused: Caller[] = [];
  const entra = {
    respond: (count: number) =>
      Response.json({ access_token: `azure-${count}`, expires_in: 3600, token_type: 'Bearer' }),
  };
  const record = (level: string) => (fields: object, message: string) =>
    logged.push({ level, message, ...fields });
  const tokens = new AzureTokens(
    {
      azure: {
        authorityHost: 'https://login.test',
        tenantID: undefined,
        audience: 'api://AzureADTokenExchange',
      },
      cacheTokens: true,
      cacheTokensPerPod: false,
    },
    {
      kubernetes: {
        createToken: async (request) => {
          tokenRequests.push(request);
          return {
            token: new Secret(`kubernetes-${tokenRequests.length}`),
            expiresAt: clock.now() + 10 * MINUTE,
          };
        },
      },
      effects: {
        now: clock.now,
        sleep: clock.sleep,
        random: () => 0.5,
        fetch: async (url, init) => {
          posts.push({ url, form: Object.fromEntries(new URLSearchParams(String(init?.body))) });
          return entra.respond(posts.length);
        },
      },
      events: {
        exchanged: (kind, result) => exchanged.push(`${kind} ${result}`),
        exchangeThrottled: () => {},
        cacheLookedUp: (kind, outcome) => lookups.push(`${kind} ${outcome}`),
      },
      limits: new ExchangeLimits({ podExchangesPerMinute, nodeExchangesPerMinute: 600 }, clock, {
        exchangeThrottled: () => {},
      }),
      log: { debug: record('debug'), warn: record('warn'), error: record('error') },
      refused: (who) => refused.push(who),
    },
  );
  const ask = async (who = caller(), resource = VAULT, clientID?: string) =>
    tokens.token(who, { resource, clientID });
  return { tokens, clock, entra, ask, posts, tokenRequests, logged, lookups, exchanged, refused };
}

describe('a token', () => {
  test('takes a token of the ServiceAccount for Azure alone, bound to the Pod, and one of Entra', async () => {
    const { ask, tokenRequests, posts, exchanged, clock } = setUp();
    const token = await ask();
    expect(token.token.reveal()).toBe('azure-1');
    expect(token).toMatchObject({ expiresAt: clock.now() + 60 * MINUTE, clientID: CLIENT, resource: VAULT });
    expect(tokenRequests).toEqual([
      {
        namespace: 'ns',
        serviceAccountName: 'app',
        audience: 'api://AzureADTokenExchange',
        expirationSeconds: 600,
        boundObject: { kind: 'Pod', name: 'pod-1', uid: 'uid of pod-1' },
      },
    ]);
    expect(posts).toMatchObject([
      {
        url: `https://login.test/${TENANT}/oauth2/v2.0/token`,
        form: { client_id: CLIENT, scope: `${VAULT}/.default`, client_assertion: 'kubernetes-1' },
      },
    ]);
    expect(exchanged).toEqual(['token-request ok', 'entra ok']);
  });

  test('is shared by all Pods of the ServiceAccount, by resource and client', async () => {
    const { ask, posts, lookups } = setUp();
    const [first, second] = await Promise.all([ask(caller('pod-1')), ask(caller('pod-2'))]);
    expect(second).toBe(first);
    expect(await ask(caller('pod-2'))).toBe(first);
    await ask(caller(), 'https://management.azure.com');
    await ask(caller(), VAULT, OTHER_CLIENT.toUpperCase());
    expect(posts.map(({ form }) => `${form['client_id']} ${form['scope']}`)).toEqual([
      `${CLIENT} ${VAULT}/.default`,
      `${CLIENT} https://management.azure.com/.default`,
      `${OTHER_CLIENT} ${VAULT}/.default`,
    ]);
    expect(lookups.filter((lookup) => lookup.endsWith('hit'))).toEqual(['azure-token hit']);
  });

  test('is another one as soon as the annotations change', async () => {
    const { ask, posts } = setUp();
    await ask();
    await ask(caller('pod-1', { ...ANNOTATIONS, 'azure.workload.identity/client-id': OTHER_CLIENT }));
    expect(posts.map(({ form }) => form['client_id'])).toEqual([CLIENT, OTHER_CLIENT]);
  });

  test('is refreshed before expiry while it is used, and never handed out in its last five minutes', async () => {
    const { ask, tokens, clock, entra } = setUp();
    const first = await ask();
    await clock.advance(50 * MINUTE);
    await tokens.refreshDue();
    const second = await ask();
    expect(second).not.toBe(first);
    entra.respond = () => new Response('', { status: 503 });
    await clock.advance(56 * MINUTE);
    await expect(Promise.all([ask(), clock.advance(MINUTE)])).rejects.toMatchObject({
      code: 'entra-unavailable',
    });
  });

  test('that is refused is reported once, with the client and no token, and the ServiceAccount is looked at again', async () => {
    const { ask, entra, logged, refused } = setUp();
    entra.respond = () =>
      Response.json(
        { error: 'invalid_client', error_description: 'AADSTS700213: No matching record for kubernetes-1' },
        { status: 401 },
      );
    for (const _ of [1, 2]) await expect(ask()).rejects.toMatchObject({ code: 'entra-refused' });
    expect(logged).toEqual([
      {
        level: 'warn',
        message: 'Entra refused a token',
        code: 'entra-refused',
        reason: expect.stringContaining('AADSTS700213: No matching record for [redacted]'),
        remedy: expect.any(String),
        serviceAccount: 'ns/app',
        boundTo: 'Pod/pod-1',
        azureClientID: CLIENT,
      },
    ]);
    expect(refused).toHaveLength(1);
  });

  test.each([
    ['without an annotation', caller('p', {}), VAULT, undefined, 'azure-identity-missing'],
    ['for no resource', caller(), '', undefined, 'parameter-invalid'],
    ['for two scopes in one', caller(), 'https://a https://b', undefined, 'parameter-invalid'],
    ['for a resource without end', caller(), `https://${'a'.repeat(2048)}`, undefined, 'parameter-invalid'],
    ['for a client that is none', caller(), VAULT, 'my-app', 'parameter-invalid'],
    ['for a client with a space', caller(), VAULT, `${CLIENT} x`, 'parameter-invalid'],
  ])('%s is refused with no call', async (_, who, resource, clientID, code) => {
    const { ask, posts, tokenRequests } = setUp();
    await expect(ask(who, resource, clientID)).rejects.toMatchObject({ code });
    expect([posts, tokenRequests]).toEqual([[], []]);
  });

  test('counts among what a caller may cost', async () => {
    const { tokens, posts } = setUp({ podExchangesPerMinute: 1 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) =>
        tokens.token(caller(), { resource: `https://${index}.test`, clientID: undefined }),
      ),
    );
    expect(posts.length).toBeLessThan(20);
    const refusals = outcomes.filter(({ status }) => status === 'rejected');
    expect(refusals).toHaveLength(20 - posts.length);
  });
});
