import type { Random, Sleep } from './effects.ts';

/**
 * The result of `work`. If it takes longer than `milliseconds`, or `signal` is aborted, the signal that `work` received is
 * aborted and this rejects with `late()` or the signal's reason, even if `work` ignores its signal.
 */
export async function withTimeLimit<T>(
  sleep: Sleep,
  milliseconds: number,
  late: () => Error,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const timer = new AbortController();
  const aborted = Promise.withResolvers<never>();
  limit.signal.addEventListener('abort', () => aborted.reject(limit.signal.reason), { once: true });
  const onAbort = () => limit.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  sleep(milliseconds, timer.signal).then(
    () => limit.abort(late()),
    () => {}, // the work finished in time
  );
  try {
    return await Promise.race([work(limit.signal), aborted.promise]);
  } finally {
    timer.abort();
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Milliseconds to wait after the `failures`-th failure in a row: `first`, doubled each time up to `most`,
 * times 0.5 to 1.5, so callers that failed together do not retry together.
 */
export function backoff(failures: number, first: number, most: number, random: Random): number {
  return Math.min(most, first * 2 ** (failures - 1)) * (0.5 + random());
}
