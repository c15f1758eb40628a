import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { ExchangeLimits, type ExchangeLimitsSettings, Throttled } from './exchange-limits.ts';

const SECOND = 1000;

function pod(name: string): Caller {
  return {
    serviceAccount: { namespace: 'ns', name: 'app', uid: 'sa', annotations: {} },
    boundTo: { kind: 'Pod', name, uid: `uid of ${name}` },
  };
}

function setUp(settings: Partial<ExchangeLimitsSettings> = {}) {
  const clock = new ManualClock();
  const refusals: string[] = [];
  const limits = new ExchangeLimits(
    { podExchangesPerMinute: 60, nodeExchangesPerMinute: 600, ...settings },
    clock,
    { exchangeThrottled: (reason) => refusals.push(reason) },
  );
  /** An exchange that ends at once; the fault if it may not begin. */
  const exchange = (caller: Caller): Fault | undefined => {
    try {
      limits.enter(caller)();
      return undefined;
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
  };
  /** How many of `attempts` exchanges may begin. */
  const begun = (caller: Caller, attempts: number): number =>
    Array.from({ length: attempts }, () => exchange(caller)).filter((fault) => fault === undefined).length;
  return { limits, clock, refusals, exchange, begun };
}

describe('the rate of one Pod', () => {
  test('is half a minute of it at once, then one at a time', async () => {
    const { clock, begun, exchange, refusals } = setUp();
    expect(begun(pod('greedy'), 100)).toBe(30);
    expect(exchange(pod('greedy'))).toMatchObject({ code: 'caller-throttled', retryAfterSeconds: 1 });
    expect(new Set(refusals)).toEqual(new Set(['pod-rate']));
    await clock.advance(SECOND);
    expect(begun(pod('greedy'), 100)).toBe(1);
    await clock.advance(10 * SECOND);
    expect(begun(pod('greedy'), 100)).toBe(10);
  });

  test('is nobody else’s', () => {
    const { begun } = setUp();
    begun(pod('greedy'), 100);
    expect(begun(pod('modest'), 5)).toBe(5);
  });

  test('comes back in full, and no more than that', async () => {
    const { clock, begun } = setUp();
    begun(pod('greedy'), 100);
    await clock.advance(3600 * SECOND);
    expect(begun(pod('greedy'), 100)).toBe(30);
  });

  test('says how long to wait', () => {
    const { begun, exchange } = setUp({ podExchangesPerMinute: 6 });
    expect(begun(pod('greedy'), 100)).toBe(8);
    const refusal = exchange(pod('greedy'));
    expect(refusal).toBeInstanceOf(Throttled);
    expect(refusal).toMatchObject({ retryAfterSeconds: 10 });
  });

  test('survives a clock that is set back', () => {
    let now = 1_000_000;
    const limits = new ExchangeLimits(
      { podExchangesPerMinute: 60, nodeExchangesPerMinute: 600 },
      { now: () => now },
      { exchangeThrottled: () => {} },
    );
    for (let count = 0; count < 30; count++) limits.enter(pod('p'))();
    now -= 500_000;
    expect(() => limits.enter(pod('p'))).toThrow(Throttled);
    now += 1000;
    limits.enter(pod('p'))();
  });
});

describe('the rate of the Node', () => {
  const greedy = Array.from({ length: 30 }, (_, index) => pod(`greedy-${index}`));

  test('bounds what many Pods ask for together', async () => {
    const { clock, begun, refusals } = setUp();
    const first = greedy.map((caller) => begun(caller, 30)).reduce((sum, count) => sum + count);
    // what the Node may at once, and what each has in reserve
    expect(first).toBeLessThanOrEqual(300 + 30 * 8);
    expect(refusals).toContain('node-rate');
    let later = 0;
    for (let second = 0; second < 60; second++) {
      await clock.advance(SECOND);
      for (const caller of greedy) later += begun(caller, 2);
    }
    expect(later).toBeLessThanOrEqual(600 + 30 * 2);
    expect(later).toBeGreaterThan(590);
  });

  test('used up by others, leaves a Pod that has asked for nothing its first tokens, and one a minute', async () => {
    const { clock, begun, exchange } = setUp({ nodeExchangesPerMinute: 1 });
    for (const caller of greedy) begun(caller, 30);
    expect(begun(pod('modest'), 30)).toBe(8);
    expect(exchange(pod('modest'))).toMatchObject({ code: 'caller-throttled' });
    await clock.advance(60 * SECOND);
    for (const caller of greedy) begun(caller, 30);
    expect(begun(pod('modest'), 30)).toBe(1);
  });

  test('lets 110 Pods that come at once have 8 tokens each', () => {
    const { begun } = setUp();
    const pods = Array.from({ length: 110 }, (_, index) => pod(`pod-${index}`));
    expect(pods.map((caller) => begun(caller, 8))).toEqual(Array(110).fill(8));
  });
});

describe('what runs at once', () => {
  test('is 8 of one Pod, and the ninth costs nothing of its rate', () => {
    const { limits, exchange, refusals } = setUp();
    const leaves = Array.from({ length: 8 }, () => limits.enter(pod('busy')));
    for (let count = 0; count < 100; count++) {
      expect(exchange(pod('busy'))).toMatchObject({ code: 'caller-busy' });
    }
    expect(refusals).toEqual(Array(100).fill('running'));
    leaves[0]?.();
    expect(exchange(pod('busy'))).toBeUndefined();
  });

  test('is 256 in all, yet one of whoever has none running', () => {
    const { limits, exchange } = setUp({ nodeExchangesPerMinute: 6000 });
    for (let index = 0; index < 32; index++) {
      for (let count = 0; count < 8; count++) limits.enter(pod(`busy-${index}`));
    }
    limits.enter(pod('modest'));
    expect(exchange(pod('modest'))).toMatchObject({ code: 'caller-busy' });
  });
});

test('at most 1024 callers are remembered', () => {
  const { limits, begun } = setUp();
  begun(pod('greedy'), 30);
  for (let index = 0; index < 2000; index++) {
    begun(pod(`pod-${index}`), 1);
    // in use, so never the one that is forgotten
    expect(begun(pod('greedy'), 1)).toBe(0);
  }
  expect(limits.size).toBe(1024);
});
