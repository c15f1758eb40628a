import { backoff } from '../core/backoff.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';

/** A watch is some ten milliseconds behind; the kubelet, which tells of a Pod's address, more. */
const PATIENCE_MILLISECONDS = 500;
/** More requests than the Pods of a Node that start at once make. */
const MOST_WAITING = 256;
/** Between questions to the API server, longer the more of them found nothing: strangers make no load. */
const FIRST_INTERVAL_MILLISECONDS = 1_000;
const LONGEST_INTERVAL_MILLISECONDS = 30_000;

interface Waiting {
  readonly gained: PromiseWithResolvers<void>;
  requests: number;
}

/** Requests from addresses that nobody owns yet. */
export class Arrivals {
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
   * Resolves as soon as the address is {@link gained}, else after a moment's patience and, where `mayAsk`, the
   * answer of the API server. Throws `caller-busy` where too many wait, and the faults of asking.
   */
  async expect(address: IPAddress, mayAsk: () => boolean): Promise<void> {
    if (this.#requests >= MOST_WAITING) {
      throw new Fault('caller-busy', `${MOST_WAITING} requests from unknown addresses are waiting already`, {
        remedy: 'Ask again in a moment. Where it lasts, find out who in the cluster floods this Node.',
      });
    }
    const waiting = this.#waiting.get(address) ?? { gained: Promise.withResolvers<void>(), requests: 0 };
    this.#waiting.set(address, waiting);
    waiting.requests += 1;
    this.#requests += 1;
    const { promise: gained } = waiting.gained;
    try {
      if (await this.#isInTime(gained)) return;
      if (mayAsk()) await Promise.race([gained, this.#askOnce()]);
    } finally {
      this.#requests -= 1;
      waiting.requests -= 1;
      if (waiting.requests === 0 && this.#waiting.get(address) === waiting) this.#waiting.delete(address);
    }
  }

  async #isInTime(gained: Promise<void>): Promise<boolean> {
    const over = new AbortController();
    const impatience = this.effects.sleep(PATIENCE_MILLISECONDS, over.signal).then(
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
