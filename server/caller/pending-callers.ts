import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { backoff } from '../core/waiting.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';

/** A watch lags by some ten milliseconds. After that the API server is asked. */
const WATCH_LAG_MILLISECONDS = 500;
/** The whole wait of an address that may be a Pod's: below the 3 s after which Google's Node.js library gives up. */
const LONGEST_WAIT_MILLISECONDS = 2_500;
/** More requests than the Pods of a Node that start at once make, and than the containers of one Pod make. */
const MOST_WAITING = 512;
const MOST_WAITING_OF_ONE = 64;
/** Between requests to the API server, longer the more of them found nothing: unknown callers cause no load. */
const FIRST_INTERVAL_MILLISECONDS = 1_000;
const LONGEST_INTERVAL_MILLISECONDS = 30_000;

interface Waiting {
  readonly gained: PromiseWithResolvers<void>;
  requests: number;
}

/** Requests from addresses that nobody owns yet. */
export class PendingCallers {
  readonly #waiting = new Map<IPAddress, Waiting>();
  #requests = 0;
  #asking: Promise<void> | undefined;
  #askAgainAt = 0;
  #fruitless = 0;
  #fault: unknown;

  constructor(
    /** Makes the index as new as the API server. */
    private readonly ask: () => Promise<void>,
    private readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>,
  ) {}

  /** Somebody owns this address now. */
  gained(address: IPAddress): void {
    const waiting = this.#waiting.get(address);
    if (waiting === undefined) return;
    this.#waiting.delete(address);
    this.#fruitless = 0;
    waiting.gained.resolve();
  }

  /**
   * Resolves as soon as the address is {@link gained}; else half a second later, after the API server's answer if
   * `mayAsk`, and after another two seconds if then `mayGain`. Throws `caller-busy` if too many requests wait, of
   * this address or of all, and the faults of asking.
   */
  async expect(address: IPAddress, mayAsk: () => boolean, mayGain: () => boolean): Promise<void> {
    const waiting = this.#enter(address);
    const { promise: gained } = waiting.gained;
    try {
      if (await this.#isInTime(gained, WATCH_LAG_MILLISECONDS)) return;
      if (mayAsk()) await Promise.race([gained, this.#askOnce()]);
      if (mayGain()) await this.#isInTime(gained, LONGEST_WAIT_MILLISECONDS - WATCH_LAG_MILLISECONDS);
    } finally {
      this.#requests -= 1;
      waiting.requests -= 1;
      if (waiting.requests === 0 && this.#waiting.get(address) === waiting) this.#waiting.delete(address);
    }
  }

  #enter(address: IPAddress): Waiting {
    const waiting = this.#waiting.get(address) ?? { gained: Promise.withResolvers<void>(), requests: 0 };
    const busy = (whose: string, limit: number) =>
      new Fault(
        'caller-busy',
        `${limit} requests from ${whose} are already waiting for their Pod to be known`,
        {
          remedy: 'Retry in a moment. If this persists, find out which client floods this Node.',
        },
      );
    if (waiting.requests >= MOST_WAITING_OF_ONE) throw busy(address, MOST_WAITING_OF_ONE);
    if (this.#requests >= MOST_WAITING) throw busy('unknown source IPs', MOST_WAITING);
    this.#waiting.set(address, waiting);
    waiting.requests += 1;
    this.#requests += 1;
    return waiting;
  }

  async #isInTime(gained: Promise<void>, milliseconds: number): Promise<boolean> {
    const over = new AbortController();
    const impatience = this.effects.sleep(milliseconds, over.signal).then(
      () => false,
      () => true, // aborted below
    );
    const isInTime = await Promise.race([gained.then(() => true), impatience]);
    over.abort();
    return isInTime;
  }

  /** One question for all who wait; in the interval after it, its failure is everybody's. */
  async #askOnce(): Promise<void> {
    if (this.#asking === undefined) {
      if (this.effects.now() < this.#askAgainAt) {
        if (this.#fault !== undefined) throw this.#fault;
        return;
      }
      this.#asking = this.#ask().finally(() => {
        this.#asking = undefined;
      });
    }
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { now, random } = this.effects;
    this.#fruitless += 1; // until somebody who waits is found
    try {
      await this.ask();
      this.#fault = undefined;
    } catch (error) {
      this.#fault = error;
      throw error;
    } finally {
      const failures = Math.max(1, this.#fruitless);
      this.#askAgainAt =
        now() + backoff(failures, FIRST_INTERVAL_MILLISECONDS, LONGEST_INTERVAL_MILLISECONDS, random);
    }
  }
}
