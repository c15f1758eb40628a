/** Milliseconds since the Unix epoch. */
export type Now = () => number;

/** Resolves after `milliseconds`; rejects with the signal's reason as soon as it is aborted. */
export type Sleep = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

/** A number in [0, 1), for jitter. */
export type Random = () => number;

/** The platform's fetch, with the TLS and timeout extensions that Bun's has. */
export type Fetch = (url: string, init?: BunFetchRequestInit) => Promise<Response>;

/**
 * All side effects of domain code. Commands pass {@link systemEffects}; tests pass their own.
 */
export interface Effects {
  readonly fetch: Fetch;
  readonly now: Now;
  readonly sleep: Sleep;
  readonly random: Random;
}

const sleep: Sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });

/** The real clock, network and randomness of this process. */
export const systemEffects: Effects = {
  fetch: (url, init) => fetch(url, init),
  now: Date.now,
  sleep,
  random: Math.random,
};
