import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';
import { ExchangeLimits } from '../credentials/exchange-limits.ts';
import { FakeGoogle, iamRefusal } from '../testing/fake-google.ts';
import { annotated } from '../testing/fake-metadata.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { QUOTA_PROJECT_ANNOTATION } from './google-account.ts';
import { GoogleTokens, type GoogleTokensSettings } from './google-tokens.ts';
import { DEFAULT_SCOPES, type ExpiringToken } from './tokens.ts';
import { WorkloadIdentityProvider } from './workload-identity-provider.ts';

const MINUTE = 60_000;
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const PUBSUB = 'https://www.googleapis.com/auth/pubsub';
const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const NONE = annotated();

function account(name: string): Record<string, string> {
  return annotated(`${name}@project.iam.gserviceaccount.com`);
}

function caller(annotations = account('reader'), pod = 'pod-1', uid = 'sa-uid'): Caller {
  return {
    serviceAccount: { namespace: 'ns', name: 'app', uid, annotations },
    boundTo: { kind: 'Pod', name: pod, uid: `uid of ${pod}` },
  };
}

function setUp(settings: Partial<GoogleTokensSettings> = {}) {
  const clock = new ManualClock();
  const google = new FakeGoogle(clock.now);
  const refused: Caller[] = [];
  const logged: object[] = [];
  const exchanged: string[] = [];
  const lookups: string[] = [];
  const refusals: string[] = [];
  const limits = new ExchangeLimits({ podExchangesPerMinute: 60, nodeExchangesPerMinute: 600 }, clock, {
    exchangeThrottled: (reason) => refusals.push(reason),
  });
  const tokens = new GoogleTokens(
    {
      workloadIdentityProvider: PROVIDER,
      cacheTokens: true,
      cacheTokensPerPod: false,
      cacheMaxTokenDurationSeconds: 3600,
      googleStsEndpoint: 'https://sts.test',
      googleIamCredentialsEndpoint: 'https://iam.test',
      ...settings,
    },
    {
      kubernetes: google,
      effects: { fetch: google.fetch, now: clock.now, sleep: clock.sleep, random: () => 0.5 },
      events: {
        exchanged: (kind, result, seconds) => exchanged.push(`${kind} ${result} ${seconds}`),
        exchangeThrottled: (reason) => refusals.push(reason),
        cacheLookedUp: (kind, outcome) => lookups.push(`${kind} ${outcome}`),
      },
      limits,
      log: {
        debug: (fields, message) => logged.push({ level: 'debug', message, ...fields }),
        warn: (fields, message) => logged.push({ level: 'warn', message, ...fields }),
        error: (fields, message) => logged.push({ level: 'error', message, ...fields }),
      },
      refused: (who) => refused.push(who),
    },
  );
  return { tokens, clock, google, refused, logged, exchanged, lookups, refusals };
}

const revealed = (token: ExpiringToken | undefined) => token?.token.reveal();

async function faultOf(token: unknown): Promise<Fault> {
  const fault = await Promise.resolve(token).catch((error: unknown) => error);
  if (!(fault instanceof Fault)) throw new Error(`no Fault: ${fault}`);
  return fault;
}

describe('an access token', () => {
  test('takes a token of the ServiceAccount bound to the Pod, a federated one, and one of the account', async () => {
    const { tokens, google, exchanged, clock } = setUp();
    const token = await tokens.accessToken(caller(), '');
    expect(revealed(token)).toBe('access-3');
    expect(token.expiresAt).toBe(clock.now() + 60 * MINUTE);
    expect(google.tokenRequests).toEqual([
      {
        namespace: 'ns',
        serviceAccountName: 'app',
        audience: PROVIDER.audience,
        expirationSeconds: 600,
        boundObject: { kind: 'Pod', name: 'pod-1', uid: 'uid of pod-1' },
      },
    ]);
    expect(google.calls.slice(1)).toEqual([
      { to: 'sts', by: 'kubernetes-1', for: CLOUD_PLATFORM },
      { to: 'generateAccessToken', by: 'federated-2', for: `${DEFAULT_SCOPES} 3600s` },
    ]);
    expect(exchanged).toEqual(['token-request ok 0', 'sts ok 0', 'access-token ok 0']);
  });

  test('is available without waiting from then on, for every Pod of the ServiceAccount', async () => {
    const { tokens, google, lookups } = setUp();
    const [first, second] = [caller(), caller(account('reader'), 'pod-2')];
    expect(tokens.cachedAccessToken(first)).toBeUndefined();
    await tokens.accessToken(first, '');
    google.takeCalls();
    expect(revealed(tokens.cachedAccessToken(first))).toBe('access-3');
    expect(revealed(await tokens.accessToken(second, ''))).toBe('access-3');
    expect(revealed(tokens.cachedAccessToken(second))).toBe('access-3');
    expect(google.takeCalls()).toEqual([]);
    expect(lookups.filter((lookup) => lookup.startsWith('access'))).toEqual([
      'access-token miss',
      'access-token hit',
      'access-token hit',
      'access-token hit',
    ]);
  });

  test('for another scope costs one call of Google', async () => {
    const { tokens, google } = setUp();
    await tokens.accessToken(caller(), '');
    google.takeCalls();
    expect(revealed(await tokens.accessToken(caller(), PUBSUB))).toBe('access-4');
    expect(google.calls).toEqual([{ to: 'generateAccessToken', by: 'federated-2', for: `${PUBSUB} 3600s` }]);
  });

  test('is the same for every spelling of its scopes', async () => {
    const { tokens, google } = setUp();
    const asker = caller();
    await tokens.accessToken(asker, `${PUBSUB},${CLOUD_PLATFORM}`);
    google.takeCalls();
    expect(tokens.accessToken(asker, ` ${CLOUD_PLATFORM} ${PUBSUB}`)).not.toBeInstanceOf(Promise);
  });

  test('is requested again after the federated token has expired, in three calls', async () => {
    const { tokens, google, clock } = setUp();
    await tokens.accessToken(caller(), '');
    await clock.advance(9 * MINUTE);
    google.takeCalls();
    await tokens.accessToken(caller(), PUBSUB);
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateAccessToken']);
  });

  test('lives as long as the settings say', async () => {
    const { tokens, google, clock } = setUp({ cacheMaxTokenDurationSeconds: 900 });
    const token = await tokens.accessToken(caller(), '');
    expect(google.calls.at(-1)?.for).toEndWith(' 900s');
    expect(token.expiresAt).toBe(clock.now() + 15 * MINUTE);
  });

  test('without an annotation is the federated token, for the scopes asked for and long-lived', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller(NONE);
    const token = await tokens.accessToken(asker, PUBSUB);
    expect(revealed(token)).toBe('federated-2');
    expect(token.expiresAt).toBe(clock.now() + 60 * MINUTE);
    expect(google.calls).toEqual([
      { to: 'kubernetes', by: 'app', for: '3600' },
      { to: 'sts', by: 'kubernetes-1', for: PUBSUB },
    ]);
    expect(tokens.accessToken(asker, PUBSUB)).toBe(token);
  });

  test.each([
    [900, '900', 15],
    [43_200, '3600', 60],
  ])('without an annotation and with a limit of %p s asks for %s s', async (limit, seconds, minutes) => {
    const { tokens, google, clock } = setUp({ cacheMaxTokenDurationSeconds: limit });
    const token = await tokens.accessToken(caller(NONE), '');
    expect(google.calls[0]?.for).toBe(seconds);
    expect(token.expiresAt).toBe(clock.now() + minutes * MINUTE);
  });

  test('without an annotation is never handed out for longer than the limit, whatever Google says', async () => {
    const { tokens, google, clock } = setUp({ cacheMaxTokenDurationSeconds: 900 });
    google.refuse = ({ to }) =>
      to === 'sts' ? Response.json({ access_token: 'federated', expires_in: 3600 }) : undefined;
    const token = await tokens.accessToken(caller(NONE), '');
    expect(token.expiresAt).toBe(clock.now() + 15 * MINUTE);
  });

  test('is never given to a ServiceAccount that was annotated differently or recreated since', async () => {
    const { tokens, google } = setUp();
    await tokens.accessToken(caller(account('reader')), '');
    google.takeCalls();
    for (const changed of [
      caller(account('writer')),
      caller(account('writer'), 'pod-1', 'another-uid'),
      caller(NONE),
    ]) {
      expect(tokens.cachedAccessToken(changed)).toBeUndefined();
      await tokens.accessToken(changed, '');
      expect(google.takeCalls().length).toBeGreaterThan(1);
    }
    expect(tokens.cacheSize).toBeLessThanOrEqual(2);
  });

  test('is requested again when the quota project changes', async () => {
    const { tokens, google } = setUp();
    const withProject = (project: string): Caller => {
      const { serviceAccount, boundTo } = caller();
      const annotations = { ...serviceAccount.annotations, [QUOTA_PROJECT_ANNOTATION]: project };
      return { boundTo, serviceAccount: { ...serviceAccount, annotations } };
    };
    await tokens.accessToken(withProject('project-a'), '');
    google.takeCalls();
    await tokens.accessToken(withProject('project-a'), '');
    expect(google.takeCalls()).toEqual([]);
    await tokens.accessToken(withProject('project-b'), '');
    expect(google.takeCalls()).toContain('generateAccessToken');
    expect((await faultOf(tokens.accessToken(withProject('No Project'), ''))).code).toBe(
      'quota-project-invalid',
    );
    expect((await faultOf(tokens.idToken(withProject('No Project'), 'a'))).code).toBe(
      'quota-project-invalid',
    );
  });

  test('is cached for each Pod if the settings say so', async () => {
    const { tokens, google } = setUp({ cacheTokensPerPod: true });
    await tokens.accessToken(caller(account('reader'), 'pod-1'), '');
    google.takeCalls();
    await tokens.accessToken(caller(account('reader'), 'pod-2'), '');
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateAccessToken']);
    await tokens.accessToken(caller(account('reader'), 'pod-2'), '');
    expect(google.takeCalls()).toEqual([]);
  });

  test('is an exchange every time with the cache off', async () => {
    const { tokens, google } = setUp({ cacheTokens: false });
    const asker = caller();
    for (let time = 0; time < 2; time++) {
      await tokens.accessToken(asker, '');
      expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateAccessToken']);
      expect(tokens.cachedAccessToken(asker)).toBeUndefined();
    }
    expect(tokens.cacheSize).toBe(0);
  });

  test('is refreshed by the sweeper before its minimum life, which ends with its signal', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller();
    const stop = new AbortController();
    const running = tokens.run(stop.signal);
    await tokens.accessToken(asker, '');
    google.takeCalls();
    await clock.advance(54 * MINUTE);
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateAccessToken']);
    await clock.advance(6 * MINUTE);
    expect(tokens.cachedAccessToken(asker)).toBeDefined();
    stop.abort(new Error('shut down'));
    await running;
    expect(clock.sleepers).toBe(0);
  });

  test('is served while Google is gone and it lives; then the fault says so', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller();
    const stop = new AbortController();
    tokens.run(stop.signal);
    await tokens.accessToken(asker, '');
    google.refuse = ({ to }) => {
      if (to !== 'kubernetes') throw new Error('connection refused');
      return undefined;
    };
    await clock.advance(55 * MINUTE - 1);
    expect(tokens.cachedAccessToken(asker)).toBeDefined();
    await clock.advance(1);
    expect(tokens.cachedAccessToken(asker)).toBeUndefined();
    const fault = faultOf(tokens.accessToken(asker, ''));
    await clock.advance(5000);
    expect((await fault).code).toBe('google-unavailable');
    stop.abort();
  });

  test.each(['a"b', 'x'.repeat(5000)])('for scopes such as %j is refused', async (scopes) => {
    const { tokens, google } = setUp();
    const fault = await faultOf(tokens.accessToken(caller(), scopes));
    expect(fault.code).toBe('parameter-invalid');
    expect(fault.message.length).toBeLessThan(200);
    expect(google.calls).toEqual([]);
  });

  test('of an invalid annotation is refused with its value', async () => {
    const { tokens, google } = setUp();
    const asker = caller(annotated(`reader\u001b@project${'x'.repeat(1000)}`));
    for (const request of [tokens.accessToken(asker, ''), tokens.idToken(asker, 'aud')]) {
      const fault = await faultOf(request);
      expect(fault.code).toBe('account-annotation-invalid');
      expect(fault.message).toContain('"reader\\u001b@projectxxx');
      expect(fault.message.length).toBeLessThan(250);
    }
    expect(google.calls).toEqual([]);
  });
});

describe('a failure', () => {
  test.each([
    ['sts', 400, 'sts-refused'],
    ['sts', 503, 'google-unavailable'],
    ['generateAccessToken', 403, 'iam-permission-denied'],
    ['generateAccessToken', 404, 'google-account-missing'],
    ['generateAccessToken', 400, 'iam-refused'],
    ['generateAccessToken', 429, 'google-unavailable'],
  ] as const)('of %s with %p is %s', async (step, status, code) => {
    const { tokens, google, refused, logged, clock, exchanged } = setUp();
    google.refuse = ({ to }) => (to === step ? iamRefusal(status, 'words of Google') : undefined);
    const asker = caller();
    const failing = faultOf(tokens.accessToken(asker, ''));
    await clock.advance(5000);
    const fault = await failing;
    expect(fault).toMatchObject({ code, status, googleMessage: 'words of Google' });
    const transient = code === 'google-unavailable';
    expect(refused).toEqual(transient ? [] : [asker]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({
      level: 'warn',
      code,
      serviceAccount: 'ns/app',
      boundTo: 'Pod/pod-1',
      googleAccount: 'reader@project.iam.gserviceaccount.com',
    });
    expect(JSON.stringify(logged)).not.toMatch(/kubernetes-\d|federated-\d/);
    const failures = exchanged.filter((line) => !line.includes(' ok '));
    if (transient) expect(failures.length).toBeGreaterThan(2);
    else expect(failures).toHaveLength(1);
    expect(failures[0]).toContain(transient ? 'unavailable' : 'refused');
  });

  test('of Kubernetes is passed on; a transient one is tried again', async () => {
    const { tokens, google, clock, refused } = setUp();
    let times = 0;
    google.refuse = ({ to }) => {
      if (to !== 'kubernetes') return undefined;
      times++;
      if (times === 1) throw new Fault('kubernetes-unavailable', 'no answer', { remedy: '' });
      throw new Fault('kubernetes-forbidden', 'RBAC', { remedy: '' });
    };
    const failing = faultOf(tokens.accessToken(caller(), ''));
    await clock.advance(1000);
    expect((await failing).code).toBe('kubernetes-forbidden');
    expect(times).toBe(2);
    expect(refused).toEqual([]);
  });

  test('that ends within the patience of the client is not seen', async () => {
    const { tokens, google, clock } = setUp();
    let times = 0;
    google.refuse = ({ to }) => (to === 'generateAccessToken' && ++times < 3 ? iamRefusal(503) : undefined);
    const token = tokens.accessToken(caller(), '');
    await clock.advance(2500);
    expect(revealed(await token)).toBe('access-3');
    expect(times).toBe(3);
  });

  test('of one call that hangs is the next attempt', async () => {
    const { tokens, google, clock } = setUp();
    google.gate = new Promise(() => {});
    const token = tokens.accessToken(caller(), '');
    await clock.advance(1000);
    google.gate = undefined;
    await clock.advance(1100);
    expect(await token).toBeDefined();
    expect(google.takeCalls()).toEqual(['kubernetes', 'kubernetes', 'sts', 'generateAccessToken']);
  });

  test('is kept for a moment, but not after the annotation is corrected', async () => {
    const { tokens, google, refused } = setUp();
    google.refuse = ({ to }) => (to === 'generateAccessToken' ? iamRefusal(403) : undefined);
    const wrong = caller(account('wrong'));
    for (let time = 0; time < 3; time++) await faultOf(tokens.accessToken(wrong, ''));
    expect(google.takeCalls()).toHaveLength(3);
    expect(refused).toEqual([wrong]);
    google.refuse = () => undefined;
    expect(await tokens.accessToken(caller(account('right')), '')).toBeDefined();
  });

  test('of a Pod that is gone is not a refusal, nor one for the other Pods', async () => {
    const { tokens, google, refused, logged } = setUp();
    google.refuse = ({ to }) => {
      if (to !== 'kubernetes') return undefined;
      throw new Fault('bound-object-gone', 'the Pod has gone', { remedy: '' });
    };
    expect((await faultOf(tokens.accessToken(caller(), ''))).code).toBe('bound-object-gone');
    expect(refused).toEqual([]);
    expect(logged).toMatchObject([{ level: 'debug', code: 'bound-object-gone' }]);
    google.refuse = () => undefined;
    expect(await tokens.accessToken(caller(account('reader'), 'pod-2'), '')).toBeDefined();
  });

  test('with 401 has the federated token fetched again', async () => {
    const { tokens, google, clock } = setUp();
    await tokens.accessToken(caller(), '');
    google.refuse = ({ to }) => (to === 'generateAccessToken' ? iamRefusal(401) : undefined);
    expect((await faultOf(tokens.accessToken(caller(), PUBSUB))).code).toBe('iam-refused');
    google.refuse = () => undefined;
    google.takeCalls();
    await clock.advance(5000);
    await tokens.accessToken(caller(), PUBSUB);
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateAccessToken']);
  });

  test('is what the ninth different token asked for at once gets, and no other Pod', async () => {
    const { tokens, google } = setUp();
    const gate = Promise.withResolvers<void>();
    google.gate = gate.promise;
    const asker = caller();
    const running = Array.from({ length: 8 }, (_, index) => tokens.accessToken(asker, `scope-${index}`));
    expect((await faultOf(tokens.accessToken(asker, 'scope-8'))).code).toBe('caller-busy');
    expect((await faultOf(tokens.idToken(asker, 'audience'))).code).toBe('caller-busy');
    running.push(tokens.accessToken(asker, 'scope-0'));
    running.push(tokens.accessToken(caller(account('reader'), 'pod-2'), 'scope-8'));
    gate.resolve();
    google.gate = undefined;
    expect(await Promise.all(running)).toHaveLength(10);
    expect(await tokens.accessToken(asker, 'scope-9')).toBeDefined();
  });

  test('is what the ninth request at once gets with the cache off', async () => {
    const { tokens, google } = setUp({ cacheTokens: false });
    const gate = Promise.withResolvers<void>();
    google.gate = gate.promise;
    const running = Array.from({ length: 8 }, () => tokens.accessToken(caller(), ''));
    expect((await faultOf(tokens.accessToken(caller(), ''))).code).toBe('caller-busy');
    gate.resolve();
    expect(await Promise.all(running)).toHaveLength(8);
    expect(await tokens.accessToken(caller(), '')).toBeDefined();
  });
});

describe('a Pod that keeps asking for new scopes', () => {
  const scope = (index: number) => `scope-${index}`;

  test('has as many exchanges as its rate allows; what is cached and the other Pods cost it nothing', async () => {
    const { tokens, google, clock, refusals } = setUp();
    const asker = caller();
    await tokens.accessToken(asker, '');
    google.takeCalls();
    const outcomes: unknown[] = [];
    for (let index = 0; index < 200; index++) {
      outcomes.push(
        await Promise.resolve(tokens.accessToken(asker, scope(index))).catch((error: unknown) => error),
      );
    }
    expect(outcomes.filter((outcome) => outcome instanceof Fault)).toHaveLength(200 - 29);
    expect(outcomes.at(-1)).toMatchObject({ code: 'caller-throttled' });
    expect(google.takeCalls()).toHaveLength(29);
    expect(refusals).toEqual(Array(200 - 29).fill('pod-rate'));
    expect(await tokens.accessToken(asker, scope(0))).toBeDefined();
    expect(await tokens.accessToken(caller(account('writer'), 'pod-2', 'other'), '')).toBeDefined();
    google.takeCalls();
    for (let second = 0; second < 60; second++) {
      await clock.advance(1000);
      for (let index = 0; index < 8; index++) {
        await Promise.resolve(tokens.accessToken(asker, scope(1000 + second * 8 + index))).catch(() => {});
      }
    }
    const exchanges = google.takeCalls().filter((to) => to === 'generateAccessToken');
    expect(exchanges.length).toBeLessThanOrEqual(60);
  });

  test('is refreshed before expiry all the same', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller();
    const stop = new AbortController();
    tokens.run(stop.signal);
    await tokens.accessToken(asker, '');
    await clock.advance(46 * MINUTE);
    for (let index = 0; index < 60; index++) {
      await Promise.resolve(tokens.accessToken(asker, scope(index))).catch(() => {});
    }
    google.takeCalls();
    await clock.advance(9 * MINUTE);
    expect(google.takeCalls()).toContain('generateAccessToken');
    expect(tokens.cachedAccessToken(asker)).toBeDefined();
    stop.abort();
  });
});

describe('while Google fails', () => {
  const down = (google: FakeGoogle) => {
    google.refuse = ({ to }) => (to === 'kubernetes' ? undefined : iamRefusal(503));
  };
  /** Asks for `count` new scopes, ten a second. */
  async function askFor(world: ReturnType<typeof setUp>, askers: readonly Caller[], seconds: number) {
    const { tokens, clock } = world;
    const pending: Promise<unknown>[] = [];
    for (let tenth = 0; tenth < seconds * 10; tenth++) {
      for (const [index, asker] of askers.entries()) {
        pending.push(faultOf(tokens.accessToken(asker, `scope-${tenth}-${index}`)));
      }
      await clock.advance(100);
    }
    await clock.advance(10_000);
    return Promise.all(pending);
  }

  test('a Pod that keeps asking for new scopes costs a call now and then, and a log line every half minute', async () => {
    const world = setUp();
    down(world.google);
    const asker = caller();
    const faults = await askFor(world, [asker], 60);
    expect(new Set(faults.map((fault) => (fault instanceof Fault ? fault.code : fault)))).toEqual(
      // the ninth and tenth while the first eight are still tried
      new Set(['google-unavailable', 'caller-busy']),
    );
    // it was seven to nine a request
    expect(world.google.calls.length).toBeLessThan(80);
    expect(world.logged.length).toBeLessThanOrEqual(3);
    expect(world.logged.at(-1)).toMatchObject({ suppressed: expect.any(Number) });
    expect(world.refusals).toContain('backing-off');
  });

  test('for everybody, each exchange makes one call only', async () => {
    const world = setUp();
    down(world.google);
    const askers = ['a', 'b', 'c', 'd'].map((name) => caller(account(name), `pod-${name}`, name));
    await askFor(world, askers, 20);
    world.google.takeCalls();
    const late = caller(account('late'), 'pod-late', 'late');
    await faultOf(world.tokens.accessToken(late, ''));
    expect(world.google.takeCalls()).toEqual(['kubernetes', 'sts']);
  });

  test('for one account, the Pods of others get theirs with all retries', async () => {
    const world = setUp();
    const { tokens, google, clock } = world;
    let failures = 0;
    google.refuse = ({ to, for: scopes }) =>
      to === 'generateAccessToken' && (scopes.startsWith('scope-') || failures-- > 0)
        ? iamRefusal(503)
        : undefined;
    await askFor(world, [caller(account('broken'), 'pod-broken', 'broken')], 5);
    failures = 3;
    const token = tokens.accessToken(caller(account('well'), 'pod-well', 'well'), '');
    await clock.advance(2500);
    expect(await token).toBeDefined();
  });

  test('its first success ends it', async () => {
    const world = setUp();
    down(world.google);
    const asker = caller();
    await askFor(world, [asker], 5);
    world.google.refuse = () => undefined;
    await world.clock.advance(15_000);
    expect(await world.tokens.accessToken(asker, 'one')).toBeDefined();
    expect(await world.tokens.accessToken(asker, 'another')).toBeDefined();
  });

  test('what is refreshed rests with its caller', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller();
    for (let index = 0; index < 20; index++) await tokens.accessToken(asker, `scope-${index}`);
    await clock.advance(52 * MINUTE);
    down(google);
    google.takeCalls();
    const stop = new AbortController();
    tokens.run(stop.signal);
    await clock.advance(60_000);
    // 20 entries by themselves would try 8 times each
    expect(google.takeCalls().length).toBeLessThan(100);
    stop.abort();
  });
});

describe('an ID token', () => {
  const deny = (google: FakeGoogle, denied: (by: string) => boolean) => {
    google.refuse = ({ to, by }) =>
      to === 'generateIdToken' && denied(by)
        ? iamRefusal(403, `denied to the ${by.split('-')[0]} identity`)
        : undefined;
  };

  test('takes one hop, and is there without waiting for 5 minutes', async () => {
    const { tokens, google, clock } = setUp();
    const asker = caller();
    const token = await tokens.idToken(asker, 'https://receiver');
    expect(token.expiresAt).toBe(clock.now() + 60 * MINUTE);
    expect(google.calls.at(-1)).toEqual({
      to: 'generateIdToken',
      by: 'federated-2',
      for: 'https://receiver',
    });
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateIdToken']);
    await clock.advance(5 * MINUTE - 1);
    expect(tokens.idToken(asker, 'https://receiver')).toBe(token);
    await clock.advance(1);
    expect(await tokens.idToken(asker, 'https://receiver')).not.toBe(token);
  });

  test('for another audience costs one call of Google', async () => {
    const { tokens, google } = setUp();
    await tokens.idToken(caller(), 'a');
    google.takeCalls();
    await tokens.idToken(caller(), 'b');
    expect(google.takeCalls()).toEqual(['generateIdToken']);
  });

  test('takes the account itself if the hop is denied, which is remembered for an hour', async () => {
    const { tokens, google, clock, logged, refused } = setUp();
    deny(google, (by) => by.startsWith('federated'));
    const asker = caller();
    await tokens.idToken(asker, 'a');
    expect(google.calls.at(-1)).toEqual({ to: 'generateIdToken', by: 'access-3', for: 'a' });
    expect(google.takeCalls()).toEqual([
      'kubernetes',
      'sts',
      'generateIdToken',
      'generateAccessToken',
      'generateIdToken',
    ]);
    await tokens.idToken(asker, 'b');
    expect(google.takeCalls()).toEqual(['generateIdToken']);
    expect([...logged, ...refused]).toEqual([]);
    await clock.advance(60 * MINUTE);
    await tokens.idToken(asker, 'c');
    expect(google.takeCalls().filter((to) => to === 'generateIdToken')).toHaveLength(2);
  });

  test('takes the hop again once the account itself is denied', async () => {
    const { tokens, google } = setUp();
    const asker = caller();
    deny(google, (by) => by.startsWith('federated'));
    await tokens.idToken(asker, 'a');
    deny(google, (by) => by.startsWith('access'));
    google.takeCalls();
    await tokens.idToken(asker, 'b');
    expect(google.takeCalls()).toEqual(['generateIdToken', 'generateIdToken']);
    await tokens.idToken(asker, 'c');
    expect(google.takeCalls()).toEqual(['generateIdToken']);
  });

  test('denied both ways reports the first refusal', async () => {
    const { tokens, google, refused } = setUp();
    deny(google, () => true);
    const asker = caller();
    expect(await faultOf(tokens.idToken(asker, 'a'))).toMatchObject({
      code: 'iam-permission-denied',
      operation: 'identity token',
      googleMessage: 'denied to the federated identity',
    });
    expect(refused).toEqual([asker]);
  });

  test('denied one way while the other is out of order may work later', async () => {
    const { tokens, google, clock } = setUp();
    google.refuse = ({ to }) => {
      if (to === 'generateIdToken') return iamRefusal(403);
      return to === 'generateAccessToken' ? iamRefusal(503) : undefined;
    };
    const failing = faultOf(tokens.idToken(caller(), 'a'));
    await clock.advance(5000);
    expect((await failing).code).toBe('google-unavailable');
  });

  test.each([404, 400])('refused with %p is not tried the other way', async (status) => {
    const { tokens, google } = setUp();
    google.refuse = ({ to }) => (to === 'generateIdToken' ? iamRefusal(status) : undefined);
    await faultOf(tokens.idToken(caller(), 'a'));
    expect(google.takeCalls()).toEqual(['kubernetes', 'sts', 'generateIdToken']);
  });

  test.each([
    ['without an audience', caller(), '', 'audience-missing'],
    ['without an annotation', caller(NONE), 'a', 'account-annotation-missing'],
    ['for a very long audience', caller(), 'x'.repeat(2049), 'parameter-invalid'],
    ['for an audience of control characters', caller(), 'a\u0000b', 'parameter-invalid'],
  ] as const)('%s is refused', async (_, asker, audience, code) => {
    const { tokens, google } = setUp();
    expect((await faultOf(tokens.idToken(asker, audience))).code).toBe(code);
    expect(google.calls).toEqual([]);
  });

  test('used again and again is refreshed, one used once is not', async () => {
    const { tokens, google, clock } = setUp();
    const stop = new AbortController();
    tokens.run(stop.signal);
    const asker = caller();
    await tokens.idToken(asker, 'busy');
    await tokens.idToken(asker, 'quiet');
    google.takeCalls();
    google.calls.length = 0;
    for (let minute = 0; minute < 30; minute++) {
      expect(tokens.idToken(asker, 'busy')).not.toBeInstanceOf(Promise);
      await clock.advance(MINUTE);
    }
    const audiences = google.calls.filter(({ to }) => to === 'generateIdToken').map((call) => call.for);
    expect(new Set(audiences)).toEqual(new Set(['busy']));
    stop.abort();
  });
});
