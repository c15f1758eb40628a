import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { PATIENCE } from './exchange-steps.ts';
import { cooldown, isTransient, UpstreamFault } from './failure.ts';

interface Rest {
  error: unknown;
  /** Rounds of failing exchanges in a row. */
  count: number;
  failedAt: number;
  until: number;
}

/**
 * What is known about a failing cloud, so that a request costs it at most one call and most requests cost it none.
 *
 * A caller whose exchange failed transiently rests, with all its scopes and audiences: until its back-off (failure.ts)
 * ends, that failure is the response; then one exchange of its own finds out. No other caller rests for it: a cloud
 * that fails for one account may work for others, and the request itself may be the cause.
 *
 * When exchanges of two or more callers have failed and none has succeeded since, the cloud itself is failing: then
 * every caller's exchange makes each call once, without retries.
 */
export class BackOffs {
  readonly #effects: Pick<Effects, 'now' | 'random'>;
  /** A caller becomes a new object as soon as anything about it changes: a corrected annotation is tried at once. */
  readonly #resting = new WeakMap<Caller, Rest>();
  /** Whose exchange was the first to fail since the last success. */
  #firstToFail: string | undefined;
  #cloudFails = false;

  constructor(effects: Pick<Effects, 'now' | 'random'>) {
    this.#effects = effects;
  }

  /** The failure that is the response to any request of this caller; undefined if it may exchange. */
  failureOf(caller: Caller): unknown {
    const rest = this.#resting.get(caller);
    return rest !== undefined && this.#effects.now() < rest.until ? rest.error : undefined;
  }

  /** An exchange of this caller begins: if it is the one that finds out, the others wait for its outcome. */
  begin(caller: Caller): void {
    const rest = this.#resting.get(caller);
    if (rest !== undefined) rest.until = this.#until(rest.error, rest.count + 1);
  }

  /** How long the calls of an exchange that begins now are retried, milliseconds. */
  patience(): number {
    return this.#cloudFails ? 0 : PATIENCE;
  }

  succeeded(caller: Caller): void {
    this.#resting.delete(caller);
    this.#cloudWorks();
  }

  /** An exchange that began at `startedAt` has failed; those that ran at the same time are one failure. */
  failed(caller: Caller, error: unknown, startedAt: number): void {
    if (!isTransient(error)) {
      // a cloud that refuses is up
      if (error instanceof UpstreamFault) this.#cloudWorks();
      return;
    }
    this.#firstToFail ??= caller.boundTo.uid;
    if (this.#firstToFail !== caller.boundTo.uid) this.#cloudFails = true;
    const before = this.#resting.get(caller);
    if (before !== undefined && before.failedAt >= startedAt) return;
    const count = (before?.count ?? 0) + 1;
    const failedAt = this.#effects.now();
    this.#resting.set(caller, { error, count, failedAt, until: this.#until(error, count) });
  }

  #until(error: unknown, count: number): number {
    return this.#effects.now() + cooldown(error, count, this.#effects.random);
  }

  #cloudWorks(): void {
    this.#firstToFail = undefined;
    this.#cloudFails = false;
  }
}
