import { describe, expect, test } from 'bun:test';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import { backoff, withTimeLimit } from './waiting.ts';

const late = () => new Error('late');
const never = () => new Promise<never>(() => {});

describe('withTimeLimit', () => {
  test('gives what the work gives, and leaves no timer behind', async () => {
    const clock = new ManualClock();
    expect(await withTimeLimit(clock.sleep, 100, late, undefined, async () => 'done')).toBe('done');
    expect(clock.sleepers).toBe(0);
  });

  test('ends work that does not listen, and aborts its signal', async () => {
    const clock = new ManualClock();
    let signal: AbortSignal | undefined;
    const work = withTimeLimit(clock.sleep, 100, late, undefined, (limited) => {
      signal = limited;
      return never();
    });
    const outcome = work.catch((error: Error) => error.message);
    await clock.advance(99);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(await outcome).toBe('late');
    expect(signal?.aborted).toBe(true);
  });

  test("rejects with the caller's reason when the caller gives up", async () => {
    const clock = new ManualClock();
    const caller = new AbortController();
    const outcome = withTimeLimit(clock.sleep, 100, late, caller.signal, never).catch(
      (error: Error) => error,
    );
    const reason = new Error('gone');
    caller.abort(reason);
    expect(await outcome).toBe(reason);
    await settled();
    expect(clock.sleepers).toBe(0);
  });

  test('does not begin for a caller who is gone', async () => {
    let begun = false;
    const work = async () => {
      begun = true;
    };
    const outcome = withTimeLimit(
      new ManualClock().sleep,
      100,
      late,
      AbortSignal.abort(new Error('gone')),
      work,
    );
    expect(outcome).rejects.toThrow('gone');
    await outcome.catch(() => {});
    expect(begun).toBe(false);
  });
});

test('doubles up to the most, from half to one and a half times that', () => {
  const middle = [1, 2, 3, 6, 7, 100, 2000].map((failures) => backoff(failures, 1000, 30_000, () => 0.5));
  expect(middle).toEqual([1000, 2000, 4000, 30_000, 30_000, 30_000, 30_000]);
  expect(backoff(1, 1000, 30_000, () => 0)).toBe(500);
  expect(backoff(100, 1000, 30_000, () => 0.999)).toBeCloseTo(44_970);
});
