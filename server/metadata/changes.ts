import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { Places } from '../core/places.ts';
import type { Answer } from './answer.ts';

/** The longest wait, with whatever `timeout_sec` or without one: a client asks again, as Go's Subscribe does. */
export const LONGEST_WAIT_SECONDS = 300;
const MOST_WAITERS = 256;
const MOST_WAITERS_OF_ONE = 8;
// a look at a value costs microseconds and no request; what is waited for changes in minutes
const LOOK_EVERY = 1000;

/** What a waiting request said. */
export interface Wait {
  /** `last_etag`; undefined: the value as it is now. */
  readonly lastETag: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

/** `wait_for_change`, as Compute Engine documents it; undefined where the caller does not want to wait. */
export function parseWait(query: URLSearchParams): Wait | undefined {
  if (!isTrue(query.get('wait_for_change'))) return undefined;
  const seconds = query.get('timeout_sec') ?? String(LONGEST_WAIT_SECONDS);
  if (!/^[0-9]{1,9}$/.test(seconds)) {
    throw new Fault('parameter-invalid', 'timeout_sec must be a whole number of seconds', {
      remedy: 'Send timeout_sec as digits alone.',
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

/** Requests that wait for a value to change: bounded in time and in number, in all and for one caller. */
export class Changes {
  readonly #places = new Places(MOST_WAITERS_OF_ONE, MOST_WAITERS);
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #draining: AbortSignal;

  constructor(effects: Pick<Effects, 'now' | 'sleep'>, draining: AbortSignal) {
    this.#effects = effects;
    this.#draining = draining;
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.#places.taken;
  }

  /**
   * What `look` gives once it differs from what the caller has; what it gives now when the time is over, the
   * server drains or `gone` says that the caller has gone. `holder` is the caller: whoever has no request that
   * waits may always have one. Throws `caller-busy` if too many wait already.
   */
  async wait(holder: string, wait: Wait, gone: AbortSignal, look: () => Promise<Answer>): Promise<Answer> {
    let answer = await look();
    const lastETag = wait.lastETag ?? answer.etag;
    if (answer.etag !== lastETag || wait.timeout === 0) return answer;

    const { now, sleep } = this.#effects;
    const end = now() + wait.timeout;
    const stop = AbortSignal.any([gone, this.#draining]);
    const leave = this.#enter(holder);
    try {
      for (let left = wait.timeout; left > 0 && answer.etag === lastETag; left = end - now()) {
        await sleep(Math.min(LOOK_EVERY, left), stop);
        answer = await look();
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      leave();
    }
    return answer;
  }

  #enter(holder: string): () => void {
    const leave = this.#places.take(holder);
    if (leave !== undefined) return leave;
    throw new Fault('caller-busy', 'too many requests wait for a change', {
      remedy: 'Wait with fewer requests at once.',
    });
  }
}
