import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { Places } from '../core/places.ts';
import type { MetadataResponse } from './response.ts';

/** The longest wait, whatever `timeout_sec` says: a client then asks again, as Go's Subscribe does. */
export const LONGEST_WAIT_SECONDS = 300;
const MOST_WAITERS = 256;
const MOST_WAITERS_OF_ONE = 8;
// reading a value costs microseconds and no request; values change in minutes
const LOOK_EVERY = 1000;

/** The parameters of a waiting request. */
export interface Wait {
  /** `last_etag`; undefined: the value as it is now. */
  readonly lastETag: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

/** `wait_for_change`, as Compute Engine documents it; undefined if the caller does not want to wait. */
export function parseWait(query: URLSearchParams): Wait | undefined {
  if (!isTrue(query.get('wait_for_change'))) return undefined;
  const seconds = query.get('timeout_sec') ?? String(LONGEST_WAIT_SECONDS);
  if (!/^[0-9]{1,9}$/.test(seconds)) {
    throw new Fault('parameter-invalid', 'timeout_sec must be a whole number of seconds', {
      remedy: 'Send timeout_sec as digits only.',
    });
  }
  return {
    lastETag: query.get('last_etag') ?? undefined,
    timeout: Math.min(Number(seconds), LONGEST_WAIT_SECONDS) * 1000,
  };
}

export function isTrue(parameter: string | null): boolean {
  return parameter !== null && /^(?:true|1)$/i.test(parameter);
}

/** Requests that wait for a value to change: bounded in time and in number, in total and for each caller. */
export class Changes {
  readonly #places = new Places(MOST_WAITERS_OF_ONE, MOST_WAITERS);
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #draining: AbortSignal;

  constructor(effects: Pick<Effects, 'now' | 'sleep'>, draining: AbortSignal) {
    this.#effects = effects;
    this.#draining = draining;
  }

  /** The number of waiting requests. */
  get waiting(): number {
    return this.#places.taken;
  }

  /**
   * What `look` returns once it differs from what the caller has, or, if the time is up, the server drains or `gone`
   * is aborted because the caller has left, what it returned last. `holder` is the caller: one without a waiting
   * request may always have one. Throws `caller-busy` if too many are waiting.
   */
  async wait(
    holder: string,
    wait: Wait,
    gone: AbortSignal,
    look: () => Promise<MetadataResponse>,
  ): Promise<MetadataResponse> {
    let response = await look();
    const lastETag = wait.lastETag ?? response.etag;
    if (response.etag !== lastETag || wait.timeout === 0) return response;

    const { now, sleep } = this.#effects;
    const end = now() + wait.timeout;
    const stop = AbortSignal.any([gone, this.#draining]);
    const leave = this.#enter(holder);
    try {
      for (let left = wait.timeout; left > 0 && response.etag === lastETag; left = end - now()) {
        await sleep(Math.min(LOOK_EVERY, left), stop);
        response = await look();
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      leave();
    }
    return response;
  }

  #enter(holder: string): () => void {
    const leave = this.#places.take(holder);
    if (leave !== undefined) return leave;
    throw new Fault('caller-busy', 'too many requests are waiting for a change', {
      remedy: 'Use fewer wait_for_change requests at once.',
    });
  }
}
