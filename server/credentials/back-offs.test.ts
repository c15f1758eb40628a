import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { BackOffs } from './back-offs.ts';
import { PATIENCE } from './exchange-steps.ts';
import { UpstreamFault } from './failure.ts';

function pod(name: string): Caller {
  return {
    serviceAccount: { namespace: 'ns', name: 'app', uid: 'sa', annotations: {} },
    boundTo: { kind: 'Pod', name, uid: `uid of ${name}` },
  };
}

const unavailable = () =>
  new UpstreamFault('google-unavailable', 'no response', { remedy: '', transient: true });
const denied = () =>
  new UpstreamFault('iam-permission-denied', 'denied', { remedy: '', transient: false, status: 403 });

function setUp() {
  const clock = new ManualClock();
  const backOffs = new BackOffs({ now: clock.now, random: () => 0.5 });
  const fail = (caller: Caller, error: unknown = unavailable()) =>
    backOffs.failed(caller, error, clock.now());
  return { backOffs, clock, fail };
}

describe('a caller whose exchange has failed', () => {
  test('rests with that failure, twice as long each time', async () => {
    const { backOffs, clock } = setUp();
    const caller = pod('p');
    for (const milliseconds of [500, 1000, 2000, 4000, 8000, 10_000, 10_000]) {
      const failure = unavailable();
      backOffs.begin(caller);
      await clock.advance(1);
      backOffs.failed(caller, failure, clock.now());
      await clock.advance(milliseconds - 1);
      expect(backOffs.failureOf(caller)).toBe(failure);
      await clock.advance(1);
      expect(backOffs.failureOf(caller)).toBeUndefined();
    }
  });

  test('has one exchange find out, not all that it asks for meanwhile', async () => {
    const { backOffs, clock, fail } = setUp();
    const caller = pod('p');
    fail(caller);
    await clock.advance(500);
    expect(backOffs.failureOf(caller)).toBeUndefined();
    backOffs.begin(caller);
    expect(backOffs.failureOf(caller)).toBeDefined();
    backOffs.succeeded(caller);
    expect(backOffs.failureOf(caller)).toBeUndefined();
  });

  test('counts those that ran at the same time once', async () => {
    const { backOffs, clock } = setUp();
    const caller = pod('p');
    const startedAt = clock.now();
    await clock.advance(100);
    for (let count = 0; count < 8; count++) backOffs.failed(caller, unavailable(), startedAt);
    await clock.advance(500);
    expect(backOffs.failureOf(caller)).toBeUndefined();
  });

  test('makes no other caller rest', () => {
    const { backOffs, fail } = setUp();
    for (let count = 0; count < 50; count++) fail(pod('p'));
    expect(backOffs.failureOf(pod('p'))).toBeUndefined();
    expect(backOffs.patience()).toBe(PATIENCE);
  });

  test('does not rest for a refusal, which the cache keeps by scope', () => {
    const { backOffs, fail } = setUp();
    const caller = pod('p');
    fail(caller, denied());
    expect(backOffs.failureOf(caller)).toBeUndefined();
  });
});

describe('the cloud', () => {
  test('fails as a whole when exchanges of two callers have failed and none has succeeded since', () => {
    const { backOffs, fail } = setUp();
    const [one, another] = [pod('one'), pod('another')];
    fail(one);
    expect(backOffs.patience()).toBe(PATIENCE);
    fail(another);
    expect(backOffs.patience()).toBe(0);
    expect(backOffs.failureOf(pod('third'))).toBeUndefined();
    backOffs.succeeded(one);
    expect(backOffs.patience()).toBe(PATIENCE);
  });

  test('does not, while it works for others in between', () => {
    const { backOffs, fail } = setUp();
    const [one, another] = [pod('one'), pod('another')];
    for (let count = 0; count < 5; count++) {
      fail(one);
      backOffs.succeeded(pod('third'));
      fail(another);
      expect(backOffs.patience()).toBe(PATIENCE);
      backOffs.succeeded(pod('third'));
    }
  });

  test('does not when it refuses: a cloud that refuses is up', () => {
    const { backOffs, fail } = setUp();
    fail(pod('one'));
    fail(pod('another'));
    fail(pod('third'), denied());
    expect(backOffs.patience()).toBe(PATIENCE);
  });
});
