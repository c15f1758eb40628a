import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';

/**
 * How many exchanges one Pod may have running: more than any start of an application needs, few enough that a
 * Pod asking for endless scopes or audiences leaves Google, the API server and the other Pods alone.
 */
const MOST_RUNNING = 8;

/** Counts the exchanges that callers wait for, by the object their tokens are bound to. */
export class ExchangeLimit {
  readonly #running = new Map<string, number>();

  /** Counts one more until the returned function is called. Throws `caller-busy`. */
  enter(caller: Caller): () => void {
    const { kind, name, uid } = caller.boundTo;
    const running = this.#running.get(uid) ?? 0;
    if (running >= MOST_RUNNING) {
      throw new Fault('caller-busy', `${kind} ${name} already waits for ${running} tokens`, {
        remedy: 'Ask again when they have come; ask for fewer different scopes or audiences at a time.',
      });
    }
    this.#running.set(uid, running + 1);
    return () => {
      const left = (this.#running.get(uid) ?? 1) - 1;
      if (left === 0) this.#running.delete(uid);
      else this.#running.set(uid, left);
    };
  }
}
