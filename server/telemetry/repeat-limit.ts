import type { Now } from '../core/effects.ts';
import type { Log } from './events.ts';

/** Between two lines that say the same. */
const INTERVAL = 30_000;
/** Beyond that, the line that was written longest ago is forgotten. */
const MOST_KEYS = 1024;

type Lines = Pick<Log, 'warn' | 'error'>;

interface Written {
  readonly at: number;
  suppressed: number;
}

/**
 * A log for what callers can cause: of the lines of one key (a message and whom it is about), one every 30 seconds is
 * written, with the number of those `suppressed` since the one before. A key must not contain what a caller made up.
 */
export class RepeatLimit {
  readonly #log: Lines;
  readonly #now: Now;
  /** By key; what was written last is the last. */
  readonly #written = new Map<string, Written>();

  constructor(log: Lines, now: Now) {
    this.#log = log;
    this.#now = now;
  }

  warn(key: string, fields: object, message: string): void {
    const suppressed = this.#admit(key);
    if (suppressed !== undefined) this.#log.warn(withCount(fields, suppressed), message);
  }

  error(key: string, fields: object, message: string): void {
    const suppressed = this.#admit(key);
    if (suppressed !== undefined) this.#log.error(withCount(fields, suppressed), message);
  }

  /** How many lines were suppressed before this one; undefined if it is suppressed too. */
  #admit(key: string): number | undefined {
    const now = this.#now();
    const before = this.#written.get(key);
    if (before !== undefined && now - before.at < INTERVAL) {
      before.suppressed++;
      return undefined;
    }
    this.#written.delete(key);
    this.#written.set(key, { at: now, suppressed: 0 });
    if (this.#written.size > MOST_KEYS) {
      for (const longestAgo of this.#written.keys()) {
        this.#written.delete(longestAgo);
        break;
      }
    }
    return before?.suppressed ?? 0;
  }
}

function withCount(fields: object, suppressed: number): object {
  return suppressed === 0 ? fields : { ...fields, suppressed };
}
