import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import type { Expiring } from './credential.ts';
import { CredentialCache, type CredentialCacheOptions } from './credential-cache.ts';
import { UpstreamFault } from './failure.ts';

interface ExpiringToken extends Expiring {
  readonly token: Secret;
}

interface Owner {
  readonly slot: string;
  readonly version: string;
}

const MINUTE = 60_000;
const owner = (slot = 'ns/a', version = '1'): Owner => ({ slot, version });
const unavailable = () =>
  new UpstreamFault('google-unavailable', 'no response', { remedy: '', transient: true, status: 503 });
const denied = () =>
  new UpstreamFault('iam-permission-denied', 'denied', { remedy: '', transient: false, status: 403 });
const podGone = () => new Fault('bound-object-gone', 'the Pod has gone', { remedy: '' });

/** A cache of tokens that live an hour, whose exchanges are counted and may be told to wait or fail. */
function setUp(options: Partial<CredentialCacheOptions<Owner, ExpiringToken>> = {}) {
  const clock = new ManualClock();
  const exchanges: { owner: Owner; key: string }[] = [];
  const lookups: string[] = [];
  const behaviour: {
    fail: (() => Error) | undefined;
    gate: Promise<void> | undefined;
    life: number;
    random: number;
  } = { fail: undefined, gate: undefined, life: 60 * MINUTE, random: 0 };
  const cache = new CredentialCache<Owner, ExpiringToken>(
    {
      kind: 'access-token',
      enabled: true,
      minimumLife: 5 * MINUTE,
      firstUseCounts: true,
      identify: ({ slot, version }) => ({ slot, version }),
      exchange: async (asker, key) => {
        exchanges.push({ owner: asker, key });
        const count = exchanges.length;
        await behaviour.gate;
        if (behaviour.fail !== undefined) throw behaviour.fail();
        return { token: new Secret(`token ${count}`), expiresAt: clock.now() + behaviour.life };
      },
      ...options,
    },
    { now: clock.now, random: () => behaviour.random },
    { cacheLookedUp: (_, outcome) => lookups.push(outcome) },
  );
  return { cache, clock, exchanges, lookups, behaviour };
}

const revealed = (token: ExpiringToken | undefined) => token?.token.reveal();
const failureOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

describe('a look-up', () => {
  test('exchanges once and then serves from the cache', async () => {
    const { cache, exchanges, lookups } = setUp();
    const asker = owner();
    expect(cache.peek(asker, 'k')).toBeUndefined();
    expect(revealed(await cache.get(asker, 'k'))).toBe('token 1');
    expect(revealed(cache.peek(asker, 'k'))).toBe('token 1');
    expect(revealed(await cache.get(asker, 'k'))).toBe('token 1');
    expect(exchanges).toHaveLength(1);
    expect(lookups).toEqual(['miss', 'hit', 'hit']);
  });

  test('shares tokens between owners of one identity, never between identities or keys', async () => {
    const { cache, exchanges } = setUp();
    await cache.get(owner(), 'k');
    expect(revealed(await cache.get(owner(), 'k'))).toBe('token 1');
    expect(revealed(await cache.get(owner('ns/b'), 'k'))).toBe('token 2');
    expect(revealed(await cache.get(owner(), 'other'))).toBe('token 3');
    expect(exchanges).toHaveLength(3);
    expect(cache.size).toBe(3);
  });

  test('never hands out less than the minimum life', async () => {
    const { cache, clock } = setUp();
    const asker = owner();
    await cache.get(asker, 'k');
    await clock.advance(55 * MINUTE - 1);
    expect(revealed(cache.peek(asker, 'k'))).toBe('token 1');
    await clock.advance(1);
    expect(cache.peek(asker, 'k')).toBeUndefined();
    expect(revealed(await cache.get(asker, 'k'))).toBe('token 2');
  });

  test('gives a token with less than that to those who waited, and does not cache it', async () => {
    const { cache, behaviour } = setUp();
    behaviour.life = 4 * MINUTE;
    const asker = owner();
    expect(revealed(await cache.get(asker, 'k'))).toBe('token 1');
    expect(cache.peek(asker, 'k')).toBeUndefined();
    await cache.refreshDue();
    expect(cache.size).toBe(0);
  });

  test('switched off, is an exchange every time', async () => {
    const { cache, exchanges } = setUp({ enabled: false });
    const asker = owner();
    await Promise.all([cache.get(asker, 'k'), cache.get(asker, 'k')]);
    await cache.get(asker, 'k');
    expect(cache.peek(asker, 'k')).toBeUndefined();
    expect(exchanges).toHaveLength(3);
    expect(cache.size).toBe(0);
  });

  test('asks again for what was forgotten', async () => {
    const { cache } = setUp();
    const asker = owner();
    await cache.get(asker, 'k');
    cache.forget(asker, 'k');
    expect(cache.size).toBe(0);
    expect(revealed(await cache.get(asker, 'k'))).toBe('token 2');
  });
});

describe('single flight', () => {
  test('all who wait share one exchange, and its failure', async () => {
    const { cache, exchanges, behaviour } = setUp();
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    behaviour.fail = unavailable;
    const outcomes = [owner(), owner(), owner()].map((asker) => failureOf(cache.get(asker, 'k')));
    gate.resolve();
    const [first, ...others] = await Promise.all(outcomes);
    expect(first).toBeInstanceOf(UpstreamFault);
    for (const other of others) expect(other).toBe(first);
    expect(exchanges).toHaveLength(1);
  });

  test('outlasts the sweeper', async () => {
    const { cache, exchanges, behaviour } = setUp();
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    const outcome = cache.get(owner(), 'k');
    await cache.refreshDue();
    gate.resolve();
    expect(revealed(await outcome)).toBe('token 1');
    expect(revealed(await cache.get(owner(), 'k'))).toBe('token 1');
    expect(exchanges).toHaveLength(1);
  });

  test('is for each key: one that hangs delays no other', async () => {
    const { cache, behaviour } = setUp();
    behaviour.gate = new Promise(() => {});
    cache.get(owner(), 'hangs');
    behaviour.gate = undefined;
    expect(revealed(await cache.get(owner(), 'k'))).toBe('token 2');
  });

  test('is repeated for the others who wait if it failed because the first one is gone', async () => {
    const { cache, exchanges, behaviour } = setUp();
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    behaviour.fail = () => {
      behaviour.fail = undefined;
      return podGone();
    };
    const gone = owner();
    const alive = owner();
    const outcomes = [cache.get(gone, 'k'), cache.get(alive, 'k')];
    gate.resolve();
    expect((await Promise.all(outcomes)).map(revealed)).toEqual(['token 2', 'token 2']);
    expect(exchanges.map((exchange) => exchange.owner)).toEqual([gone, alive]);
  });

  test('may be refused before it starts, which joining one is not', async () => {
    const { cache, exchanges, behaviour } = setUp();
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    const steps: string[] = [];
    const enter = () => {
      steps.push('enter');
      return () => steps.push('leave');
    };
    const refuse = () => {
      throw new Fault('caller-busy', 'busy', { remedy: '' });
    };
    const first = cache.get(owner(), 'k', enter);
    const joined = cache.get(owner(), 'k', refuse);
    const refused = failureOf(cache.get(owner(), 'other', refuse));
    expect(steps).toEqual(['enter']);
    gate.resolve();
    expect((await Promise.all([first, joined])).map(revealed)).toEqual(['token 1', 'token 1']);
    expect(await refused).toMatchObject({ code: 'caller-busy' });
    await settled();
    expect(steps).toEqual(['enter', 'leave']);
    expect(exchanges).toHaveLength(1);
    expect(revealed(await cache.get(owner(), 'other', enter))).toBe('token 2');
  });
});

describe('refresh', () => {
  /** Lets minutes pass, sweeping twice in each. */
  async function pass(
    { cache, clock }: Pick<ReturnType<typeof setUp>, 'cache' | 'clock'>,
    minutes: number,
  ): Promise<void> {
    for (let half = 0; half < minutes * 2; half++) {
      await clock.advance(MINUTE / 2);
      await cache.refreshDue();
    }
  }

  test.each([
    [0, 45],
    [0.999, 50],
  ])('comes before expiry, at a random moment (%p: minute %p)', async (random, minute) => {
    const world = setUp();
    world.behaviour.random = random;
    await world.cache.get(owner(), 'k');
    await pass(world, minute - 1);
    expect(world.exchanges).toHaveLength(1);
    await pass(world, 1);
    expect(world.exchanges).toHaveLength(2);
    expect(revealed(world.cache.peek(owner(), 'k') ?? (await world.cache.get(owner(), 'k')))).toBe('token 2');
  });

  test('goes on while the token is used, so that nobody waits again', async () => {
    const world = setUp();
    const asker = owner();
    let token = await world.cache.get(asker, 'k');
    for (let hour = 0; hour < 10; hour++) {
      // like a client library, which asks again shortly before its token expires
      await pass(world, (token.expiresAt - 4 * MINUTE - world.clock.now()) / MINUTE);
      token = await world.cache.get(asker, 'k');
    }
    expect(world.lookups.filter((outcome) => outcome === 'miss')).toHaveLength(1);
  });

  test('of what nobody uses again happens once, then it is dropped', async () => {
    const world = setUp();
    await world.cache.get(owner(), 'k');
    await pass(world, 240);
    expect(world.exchanges).toHaveLength(2);
    expect(world.cache.size).toBe(0);
  });

  test('leaves nothing of an identity that no longer asks', async () => {
    let identified = 0;
    const identify = ({ slot, version }: Owner) => {
      identified++;
      return { slot, version };
    };
    const world = setUp({ identify });
    const asker = owner();
    await world.cache.get(asker, 'k');
    await world.cache.get(asker, 'k');
    expect(identified).toBe(1);
    await pass(world, 240);
    await world.cache.get(asker, 'k');
    expect(identified).toBe(2);
  });

  test('does not happen even once if the first use does not count', async () => {
    const world = setUp({ firstUseCounts: false, minimumLife: 55 * MINUTE });
    await world.cache.get(owner(), 'k');
    await pass(world, 10);
    expect(world.exchanges).toHaveLength(1);
    expect(world.cache.size).toBe(0);
  });

  test('happens for a second use if the first does not count', async () => {
    const world = setUp({ firstUseCounts: false, minimumLife: 55 * MINUTE });
    await world.cache.get(owner(), 'k');
    await pass(world, 1);
    await world.cache.get(owner(), 'k');
    await pass(world, 10);
    expect(world.exchanges).toHaveLength(2);
  });

  test('is made in the name of the last to ask', async () => {
    const world = setUp();
    const [early, late] = [owner(), owner()];
    await world.cache.get(early, 'k');
    await world.cache.get(late, 'k');
    await pass(world, 46);
    expect(world.exchanges.map((exchange) => exchange.owner)).toEqual([early, late]);
  });

  test('does not keep callers of the old token waiting', async () => {
    const world = setUp();
    const asker = owner();
    await world.cache.get(asker, 'k');
    await world.clock.advance(46 * MINUTE);
    const gate = Promise.withResolvers<void>();
    world.behaviour.gate = gate.promise;
    const refreshed = world.cache.refreshDue();
    expect(world.exchanges).toHaveLength(2);
    expect(revealed(world.cache.peek(asker, 'k'))).toBe('token 1');
    gate.resolve();
    await refreshed;
    expect(revealed(world.cache.peek(asker, 'k'))).toBe('token 2');
  });

  test('that fails leaves the old token to its minimum life, and is tried again with back-off', async () => {
    const world = setUp();
    const { cache, clock, exchanges, behaviour } = world;
    const asker = owner();
    await cache.get(asker, 'k');
    await clock.advance(45 * MINUTE);
    behaviour.fail = unavailable;
    behaviour.random = 0.5;
    const times: number[] = [];
    for (let tenth = 0; tenth < 300; tenth++) {
      const before = exchanges.length;
      await cache.refreshDue();
      if (exchanges.length > before) times.push(tenth / 10);
      expect(revealed(cache.peek(asker, 'k'))).toBe('token 1');
      await clock.advance(100);
    }
    expect(times).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5]);
    await pass(world, 9);
    expect(revealed(cache.peek(asker, 'k'))).toBe('token 1');
    await pass(world, 1);
    expect(cache.peek(asker, 'k')).toBeUndefined();
    expect(await failureOf(cache.get(asker, 'k'))).toMatchObject({ code: 'google-unavailable' });
    behaviour.fail = undefined;
    await clock.advance(10_000);
    expect(await cache.get(asker, 'k')).toBeDefined();
  });

  test('that fails is retried in the background, though nobody asks', async () => {
    const world = setUp();
    const asker = owner();
    await world.cache.get(asker, 'k');
    world.behaviour.fail = unavailable;
    await pass(world, 46);
    world.behaviour.fail = undefined;
    await pass(world, 14);
    expect(world.cache.peek(asker, 'k')).toBeDefined();
  });

  test('that is running is not started again', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    const asker = owner();
    await cache.get(asker, 'k');
    await clock.advance(46 * MINUTE);
    behaviour.gate = new Promise(() => {});
    cache.refreshDue();
    cache.peek(asker, 'k');
    cache.refreshDue();
    expect(exchanges).toHaveLength(2);
  });

  test('that waits for its slot is not started for what was dropped meanwhile', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    for (let slot = 0; slot < 10; slot++) await cache.get(owner(`ns/${slot}`), 'k');
    await clock.advance(46 * MINUTE);
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    const refreshed = cache.refreshDue();
    cache.get(owner('ns/9', '2'), 'k');
    gate.resolve();
    await refreshed;
    const after = exchanges.slice(10).map((exchange) => `${exchange.owner.slot} ${exchange.owner.version}`);
    expect(after).toHaveLength(10);
    expect(after).not.toContain('ns/9 1');
  });

  test.each([
    ['refused for good', denied],
    ['for a Pod that has gone', podGone],
  ])('%s is tried again only when somebody asks', async (_, fail) => {
    const world = setUp();
    await world.cache.get(owner(), 'k');
    world.behaviour.fail = fail;
    await pass(world, 49);
    expect(world.exchanges).toHaveLength(2);
    expect(revealed(await world.cache.get(owner(), 'k'))).toBe('token 1');
    await pass(world, 1);
    expect(world.exchanges).toHaveLength(3);
  });

  test('of many tokens runs eight at a time', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    for (let slot = 0; slot < 20; slot++) await cache.get(owner(`ns/${slot}`), 'k');
    await clock.advance(46 * MINUTE);
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    const refreshed = cache.refreshDue();
    await settled();
    expect(exchanges).toHaveLength(28);
    gate.resolve();
    await refreshed;
    expect(exchanges).toHaveLength(40);
  });
});

describe('a failure', () => {
  test('is the response during its cooldown, which doubles while it lasts', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    behaviour.fail = unavailable;
    behaviour.random = 0.5;
    const times: number[] = [];
    for (let tenth = 0; tenth <= 300; tenth++) {
      const before = exchanges.length;
      expect(await failureOf(cache.get(owner(), 'k'))).toMatchObject({ code: 'google-unavailable' });
      if (exchanges.length > before) times.push(tenth / 10);
      await cache.refreshDue();
      await clock.advance(100);
    }
    expect(times).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5]);
  });

  test('after a success counts from one again', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    const asker = owner();
    for (const life of [60 * MINUTE, 0]) {
      behaviour.fail = unavailable;
      await failureOf(cache.get(asker, 'k'));
      await clock.advance(500);
      behaviour.fail = undefined;
      behaviour.life = life;
      await cache.get(asker, 'k');
      await clock.advance(55 * MINUTE);
    }
    expect(exchanges).toHaveLength(4);
  });

  test('that is permanent is tried again after 5 s', async () => {
    const { cache, clock, exchanges, behaviour } = setUp();
    behaviour.fail = denied;
    await failureOf(cache.get(owner(), 'k'));
    await clock.advance(4999);
    await failureOf(cache.get(owner(), 'k'));
    expect(exchanges).toHaveLength(1);
    behaviour.fail = undefined;
    await clock.advance(1);
    expect(revealed(await cache.get(owner(), 'k'))).toBe('token 2');
  });

  test('of one Pod is not held against the next one', async () => {
    const { cache, behaviour } = setUp();
    behaviour.fail = podGone;
    expect(await failureOf(cache.get(owner(), 'k'))).toMatchObject({ code: 'bound-object-gone' });
    behaviour.fail = undefined;
    expect(revealed(await cache.get(owner(), 'k'))).toBe('token 2');
  });

  test('is not held against another version of the identity', async () => {
    const { cache, behaviour } = setUp();
    behaviour.fail = denied;
    await failureOf(cache.get(owner('ns/a', '1'), 'k'));
    behaviour.fail = undefined;
    expect(revealed(await cache.get(owner('ns/a', '2'), 'k'))).toBe('token 2');
  });

  test('is forgotten in the end', async () => {
    const { cache, clock, behaviour } = setUp();
    behaviour.fail = denied;
    await failureOf(cache.get(owner(), 'k'));
    await clock.advance(34_999);
    await cache.refreshDue();
    expect(cache.size).toBe(1);
    await clock.advance(1);
    await cache.refreshDue();
    expect(cache.size).toBe(0);
  });
});

describe('another version of an identity', () => {
  test('gets a token of its own, and the old one is dropped with all its entries', async () => {
    const { cache } = setUp();
    const [before, after] = [owner('ns/a', '1'), owner('ns/a', '2')];
    await cache.get(before, 'k');
    await cache.get(before, 'other');
    expect(revealed(await cache.get(after, 'k'))).toBe('token 3');
    expect(cache.peek(before, 'k')).toBeUndefined();
    expect(cache.size).toBe(1);
  });

  test('never gets the result of an exchange for the old one', async () => {
    const { cache, behaviour } = setUp();
    const gate = Promise.withResolvers<void>();
    behaviour.gate = gate.promise;
    const [before, after] = [owner('ns/a', '1'), owner('ns/a', '2')];
    const old = cache.get(before, 'k');
    behaviour.gate = undefined;
    expect(revealed(await cache.get(after, 'k'))).toBe('token 2');
    gate.resolve();
    expect(revealed(await old)).toBe('token 1');
    expect(revealed(cache.peek(after, 'k'))).toBe('token 2');
    expect(cache.size).toBe(1);
  });
});

describe('bounds', () => {
  test('an identity that keeps asking for more loses its least recently used, and no other loses any', async () => {
    const { cache, clock } = setUp();
    const [modest, greedy] = [owner('ns/modest'), owner('ns/greedy')];
    await cache.get(modest, 'k');
    for (let key = 0; key < 64; key++) {
      await cache.get(greedy, `${key}`);
      await clock.advance(1);
    }
    await cache.get(greedy, '0');
    for (let key = 64; key < 100; key++) {
      await clock.advance(1);
      await cache.get(greedy, `${key}`);
    }
    expect(cache.size).toBe(65);
    expect(cache.peek(modest, 'k')).toBeDefined();
    expect(cache.peek(greedy, '0')).toBeDefined();
    expect(cache.peek(greedy, '1')).toBeUndefined();
    expect(cache.peek(greedy, '99')).toBeDefined();
  });

  test('if there are too many in all, the largest identity loses', async () => {
    const { cache, clock } = setUp();
    const modest = owner('ns/modest');
    await cache.get(modest, 'k');
    for (let slot = 0; slot < 20; slot++) {
      for (let key = 0; key < 64; key++) await cache.get(owner(`ns/${slot}`), `${key}`);
    }
    await clock.advance(1);
    expect(cache.size).toBe(1024);
    expect(cache.peek(modest, 'k')).toBeDefined();
  });
});

describe('what is kept for an owner', () => {
  test('is how many credentials it has, and until when the one that lasts longest is handed out', async () => {
    const { cache, clock, behaviour } = setUp();
    expect(cache.kept(owner())).toBeUndefined();
    await cache.get(owner(), 'a');
    behaviour.life = 30 * MINUTE;
    await cache.get(owner(), 'b');
    const until = clock.now() + 55 * MINUTE;
    expect(cache.kept(owner())).toEqual({ kind: 'access-token', count: 2, until });
    await clock.advance(26 * MINUTE);
    expect(cache.kept(owner())).toEqual({ kind: 'access-token', count: 1, until });
  });

  test("is no other identity's, nor that of an older version", async () => {
    const { cache } = setUp();
    await cache.get(owner(), 'a');
    expect(cache.kept(owner('ns/b'))).toBeUndefined();
    expect(cache.kept(owner('ns/a', '2'))).toBeUndefined();
    expect(cache.kept(owner())?.count).toBe(1);
  });

  test('is nothing after a failure, and asking is neither a use nor a look-up', async () => {
    const { cache, behaviour, lookups, exchanges } = setUp();
    behaviour.fail = denied;
    await failureOf(cache.get(owner(), 'a'));
    const before = lookups.length;
    expect(cache.kept(owner())).toBeUndefined();
    expect([lookups.length, exchanges.length]).toEqual([before, 1]);
  });
});
