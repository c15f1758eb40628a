import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { PATIENCE } from './exchange-steps.ts';
import { cooldown, isTransient, UpstreamFault } from './failure.ts';

interface Rest {
  error: unknown;
  /** Of rounds of failing exchanges in a row. */
  count: number;
  failedAt: number;
  until: number;
}

/**
 * What is known of a cloud that fails, so that a request costs it one call at most and most cost it none.
 *
 * A caller whose exchange has failed for now rests, with all its scopes and audiences: until its back-off (failure.ts)
 * is over, that failure is the response; then one exchange of its own finds out. Nobody else rests for it: a cloud
 * that fails for one account works for the others, and what one caller asks for may be what fails.
 *
 * When exchanges of two callers or more have failed and none has succeeded since, it is the cloud that fails: then
 * every caller's exchange makes each call once, without retries.
 */
export class BackOffs {
  readonly #effects: Pick<Effects, 'now' | 'random'>;
  /** A caller is another object as soon as anything about it changes: a corrected annotation is tried at once. */
  readonly #resting = new WeakMap<Caller, Rest>();
  /** Whose exchange was the first to fail since one succeeded. */
  #firstToFail: string | undefined;
  #cloudFails = false;

  constructor(effects: Pick<Effects, 'now' | 'random'>) {
    this.#effects = effects;
  }

  /** The failure that is the response to whatever this caller asks for; undefined if it may exchange. */
  failureOf(caller: Caller): unknown {
    const rest = this.#resting.get(caller);
    return rest !== undefined && this.#effects.now() < rest.until ? rest.error : undefined;
  }

  /** An exchange of this caller begins: if it is the one that finds out, the others wait for what it finds. */
  begin(caller: Caller): void {
    const rest = this.#resting.get(caller);
    if (rest !== undefined) rest.until = this.#until(rest.error, rest.count + 1);
  }

  /** For how long the calls of an exchange that begins now are tried again, milliseconds. */
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
      // whoever refuses is there
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
