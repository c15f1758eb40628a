import { describe, expect, test } from 'bun:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { PATIENCE, retry } from './exchange-steps.ts';
import { UpstreamFault } from './failure.ts';

const unavailable = (retryAfter?: number) =>
  new UpstreamFault('google-unavailable', 'no response', { remedy: '', transient: true, retryAfter });
const late = unavailable();

/** Runs `attempt` by a clock that starts at 0; `starts` tells when each attempt began. */
function retrying(attempt: (count: number, signal: AbortSignal) => Promise<string>, random = 0.5) {
  const clock = new ManualClock(0);
  const starts: number[] = [];
  const counted = (signal: AbortSignal) => {
    starts.push(clock.now());
    return attempt(starts.length, signal);
  };
  const effects = { now: clock.now, sleep: clock.sleep, random: () => random };
  const outcome = retry(counted, () => late, PATIENCE, effects).catch((error: unknown) => error);
  return { clock, starts, outcome };
}

describe('retry', () => {
  test('returns what the first attempt returns, and leaves no timer behind', async () => {
    const { clock, starts, outcome } = retrying(async () => 'token');
    expect(await outcome).toBe('token');
    expect(starts).toEqual([0]);
    expect(clock.sleepers).toBe(0);
  });

  test('pauses longer and longer, with jitter, until it succeeds', async () => {
    const { clock, starts, outcome } = retrying(async (count) => {
      if (count < 4) throw unavailable();
      return 'token';
    });
    await clock.advance(PATIENCE);
    expect(await outcome).toBe('token');
    expect(starts).toEqual([0, 100, 300, 700]);
  });

  test('starts no attempt once the client has lost patience', async () => {
    const failure = unavailable();
    const { clock, starts, outcome } = retrying(async () => {
      throw failure;
    }, 0.999);
    await clock.advance(60_000);
    expect(await outcome).toBe(failure);
    expect(starts.length).toBeGreaterThan(3);
    expect(Math.max(...starts)).toBeLessThan(PATIENCE);
  });

  test('does not retry a permanent refusal', async () => {
    const denied = new UpstreamFault('iam-permission-denied', 'denied', { remedy: '', transient: false });
    const { starts, outcome } = retrying(async () => {
      throw denied;
    });
    expect(await outcome).toBe(denied);
    expect(starts).toEqual([0]);
  });

  test('waits as long as the cloud asks', async () => {
    const { clock, starts, outcome } = retrying(async (count) => {
      if (count === 1) throw unavailable(2000);
      return 'token';
    });
    await clock.advance(PATIENCE);
    expect(await outcome).toBe('token');
    expect(starts).toEqual([0, 2000]);
  });

  test('gives up at once if the cloud asks for more than the patience', async () => {
    const failure = unavailable(30_000);
    const { starts, outcome } = retrying(async () => {
      throw failure;
    });
    expect(await outcome).toBe(failure);
    expect(starts).toEqual([0]);
  });

  test('ends an attempt that hangs while the client still waits, and gives the next more time', async () => {
    const signals: AbortSignal[] = [];
    const { clock, starts, outcome } = retrying(async (_, signal) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    });
    await clock.advance(2100);
    expect(starts).toEqual([0, 2100]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    await clock.advance(5000);
    expect(await outcome).toBe(late);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});
