import type { Caller } from '../caller/caller.ts';
import type { Now } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { Places } from '../core/places.ts';
import type { DomainEvents } from '../telemetry/events.ts';

export interface ExchangeLimitsSettings {
  /** Exchanges a minute that one Pod, or the Node itself, may cause; half of them at once. */
  readonly podExchangesPerMinute: number;
  /** Exchanges a minute that all Pods of this Node together may cause; half of them at once. */
  readonly nodeExchangesPerMinute: number;
}

/**
 * How many exchanges may run: for one caller more than any application needs at startup; for all what the cloud, the
 * API server and this program's memory can bear.
 */
const MOST_RUNNING_OF_ONE = 8;
const MOST_RUNNING_IN_ALL = 256;
/** What a Pod may still get when the others have used up the Node's rate: its first tokens, and some later. */
const RESERVE = 8;
const RESERVE_PER_MINUTE = 1;
/** The smallest burst: what an application asks for at startup comes at once, whatever the rate. */
const SMALLEST_BURST = 8;
/** Several times the Pods of the largest Node; beyond that, the caller that exchanged longest ago is forgotten. */
const MOST_CALLERS = 1024;

/** Refused for now: the caller, or all callers together, exceed the rate of exchanges. */
export class Throttled extends Fault {
  constructor(
    message: string,
    /** Seconds until another exchange is allowed. */
    readonly retryAfterSeconds: number,
  ) {
    super('caller-throttled', message, {
      remedy:
        'Request the same scopes and audiences again, which are cached, instead of new ones, or ' +
        'raise --pod-exchanges-per-minute or --node-exchanges-per-minute if the workload needs it.',
    });
  }
}

interface Share {
  readonly bucket: TokenBucket;
  readonly reserve: TokenBucket;
}

/**
 * Limits on what one Pod, and all Pods of the Node, cost the clouds and the API server: how many exchanges run at once
 * and how many begin in a minute. Shared by all clouds. Cached credentials and early refreshes do not count.
 */
export class ExchangeLimits {
  readonly #settings: ExchangeLimitsSettings;
  readonly #now: Now;
  readonly #events: Pick<DomainEvents, 'exchangeThrottled'>;
  readonly #places = new Places(MOST_RUNNING_OF_ONE, MOST_RUNNING_IN_ALL);
  readonly #node: TokenBucket;
  /** By the UID of the object that the caller's tokens are bound to; the most recent comes last. */
  readonly #shares = new Map<string, Share>();

  constructor(
    settings: ExchangeLimitsSettings,
    { now }: { readonly now: Now },
    events: Pick<DomainEvents, 'exchangeThrottled'>,
  ) {
    this.#settings = settings;
    this.#now = now;
    this.#events = events;
    this.#node = bucket(settings.nodeExchangesPerMinute, now());
  }

  /** The number of callers it remembers. */
  get size(): number {
    return this.#shares.size;
  }

  /** Counts one more exchange until the returned function is called. Throws `caller-throttled` or `caller-busy`. */
  enter(caller: Caller): () => void {
    const { kind, name, uid } = caller.boundTo;
    const now = this.#now();
    const { bucket, reserve } = this.#shareOf(uid, now);
    const wait = bucket.wait(now);
    if (wait > 0) {
      this.#events.exchangeThrottled('pod-rate');
      const { podExchangesPerMinute: rate } = this.#settings;
      throw new Throttled(`${kind} ${name} asks for more than ${rate} new tokens a minute`, seconds(wait));
    }
    const waitOfAll = Math.min(this.#node.wait(now), reserve.wait(now));
    if (waitOfAll > 0) {
      this.#events.exchangeThrottled('node-rate');
      const { nodeExchangesPerMinute: rate } = this.#settings;
      throw new Throttled(
        `the Pods of this Node together ask for more than ${rate} new tokens a minute`,
        seconds(waitOfAll),
      );
    }
    const leave = this.#places.take(uid);
    if (leave === undefined) {
      this.#events.exchangeThrottled('running');
      throw new Fault('caller-busy', `too many token requests of ${kind} ${name} are running`, {
        remedy: 'Retry once they have completed. Request fewer different scopes or audiences at a time.',
      });
    }
    bucket.take(now);
    if (!this.#node.take(now)) reserve.take(now);
    return leave;
  }

  #shareOf(uid: string, now: number): Share {
    const share = this.#shares.get(uid) ?? {
      bucket: bucket(this.#settings.podExchangesPerMinute, now),
      reserve: new TokenBucket(RESERVE, RESERVE_PER_MINUTE, now),
    };
    this.#shares.delete(uid);
    this.#shares.set(uid, share);
    if (this.#shares.size > MOST_CALLERS) {
      for (const longestAgo of this.#shares.keys()) {
        this.#shares.delete(longestAgo);
        break;
      }
    }
    return share;
  }
}

function bucket(perMinute: number, now: number): TokenBucket {
  return new TokenBucket(Math.max(SMALLEST_BURST, Math.floor(perMinute / 2)), perMinute, now);
}

function seconds(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds / 1000));
}

/** A token bucket: a burst at once, then a rate. Full at first. */
class TokenBucket {
  #tokens: number;
  #countedAt: number;

  constructor(
    private readonly burst: number,
    private readonly perMinute: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#countedAt = now;
  }

  /** Milliseconds until there is a token; 0 if there is one. */
  wait(now: number): number {
    this.#refill(now);
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / this.perMinute) * 60_000;
  }

  /** Takes one if there is one. */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #refill(now: number): void {
    // a clock that is set back takes no tokens away
    const passed = Math.max(0, now - this.#countedAt);
    this.#countedAt = now;
    this.#tokens = Math.min(this.burst, this.#tokens + (passed / 60_000) * this.perMinute);
  }
}
