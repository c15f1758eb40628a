import type { Effects } from '../core/effects.ts';
import type { CachedKind, DomainEvents } from '../telemetry/events.ts';
import { CacheEntry } from './cache-entry.ts';
import type { Expiring, Identity } from './credential.ts';
import type { KeptCredentials } from './credential-status.ts';
import { isOfOneCaller, isTransient } from './failure.ts';

/*
 * Max age        A token is handed out until its minimum remaining life is reached, never after.
 * Early refresh  A token that was used is fetched again before that, at a random moment in the first half of a
 *                lead of a quarter of the time it may be handed out for, at most 10 minutes. An unused token
 *                is dropped when it may no longer be handed out, so an idle Node makes no calls.
 * Cooldown       A failure is the response for as long as failure.ts says, counted from the failure; it keeps
 *                doubling until something succeeds. A failing refresh waits as long; one that is refused
 *                permanently is tried again only if somebody asks in the meantime.
 * Stale          While a refresh fails the old token is served to its minimum life, and nothing afterwards.
 * Single flight  Callers of one token wait for one exchange, which belongs to none of them: whoever
 *                leaves, it continues for the others and for the cache.
 * Bounds         64 entries for each identity and 1024 in all. An identity that asks for more loses its least recently
 *                used one; if there are too many in all, the largest identity does. 8 refreshes at a time.
 */
const MOST_PER_IDENTITY = 64;
const MOST_IN_ALL = 1024;
const REFRESHES_AT_A_TIME = 8;

export interface CredentialCacheOptions<Owner, Credential extends Expiring> {
  readonly kind: CachedKind;
  /** Off: every {@link CredentialCache.get} is an exchange and nothing is cached. */
  readonly enabled: boolean;
  /** The minimum remaining life of a token handed out from the cache, milliseconds. */
  readonly minimumLife: number;
  /** Whether the use that a token was fetched for causes one refresh, or only a later use does. */
  readonly firstUseCounts: boolean;
  readonly identify: (owner: Owner) => Identity;
  /** Whether to refresh nothing in this owner's name for now, because its cloud fails. */
  readonly rests?: (owner: Owner) => boolean;
  readonly exchange: (owner: Owner, key: string) => Promise<Credential>;
}

interface Partition<Owner, Credential extends Expiring> extends Identity {
  readonly entries: Map<string, CacheEntry<Owner, Credential>>;
  dropped: boolean;
}

/** Milliseconds. */
const SWEEP_INTERVAL = 1000;

const enterFreely = () => () => {};

/** Tokens of one kind, by the identity of their owner and a key (scopes, audience). */
export class CredentialCache<Owner extends object, Credential extends Expiring> {
  readonly #options: CredentialCacheOptions<Owner, Credential>;
  readonly #effects: Pick<Effects, 'now' | 'random'>;
  readonly #events: Pick<DomainEvents, 'cacheLookedUp'>;
  readonly #partitions = new Map<string, Partition<Owner, Credential>>();
  /** Saves the hot path from building strings. */
  readonly #byOwner = new WeakMap<Owner, Partition<Owner, Credential>>();
  #size = 0;

  constructor(
    options: CredentialCacheOptions<Owner, Credential>,
    effects: Pick<Effects, 'now' | 'random'>,
    events: Pick<DomainEvents, 'cacheLookedUp'>,
  ) {
    this.#options = options;
    this.#effects = effects;
    this.#events = events;
  }

  /** The number of cached tokens and failures. */
  get size(): number {
    return this.#size;
  }

  /** The token if it may be handed out, without waiting and without allocating. */
  peek(owner: Owner, key: string): Credential | undefined {
    const entry = this.#byOwner.get(owner)?.entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#effects.now();
    const token = entry.live(now);
    if (token === undefined) return undefined;
    entry.touch(owner, now);
    this.#events.cacheLookedUp(this.#options.kind, 'hit');
    return token;
  }

  /**
   * The token, waiting for an exchange if needed. `enter` is called before an exchange starts and may refuse it by
   * throwing; what it returns is called when the exchange has ended. Throws what the exchange throws.
   */
  async get(owner: Owner, key: string, enter: () => () => void = enterFreely): Promise<Credential> {
    if (!this.#options.enabled) return this.#pass(owner, key, enter());
    const partition = this.#partitionOf(owner);
    const token = this.peek(owner, key);
    if (token !== undefined) return token;
    this.#events.cacheLookedUp(this.#options.kind, 'miss');
    const now = this.#effects.now();
    const known = partition.entries.get(key);
    known?.touch(owner, now);
    if (known?.flight !== undefined) return known.flight;
    const failure = known?.failure(now);
    if (failure !== undefined) throw failure.error;
    const leave = enter();
    return this.#start(known ?? this.#add(partition, key, owner, now)).finally(leave);
  }

  /** What may be handed out to this owner without an exchange; undefined if there is nothing. Is no use of it. */
  kept(owner: Owner): KeptCredentials | undefined {
    const { slot, version } = this.#options.identify(owner);
    const partition = this.#partitions.get(slot);
    if (partition?.version !== version) return undefined;
    const now = this.#effects.now();
    const ends = [...partition.entries.values()].flatMap((entry) => entry.liveUntil(now) ?? []);
    if (ends.length === 0) return undefined;
    return { kind: this.#options.kind, count: ends.length, until: Math.max(...ends) };
  }

  /** Forgets one token that turned out to be invalid. */
  forget(owner: Owner, key: string): void {
    const partition = this.#byOwner.get(owner);
    if (partition !== undefined) this.#remove(partition, key);
  }

  /** Refreshes what is due and drops what has expired. Resolves when that is done; never rejects. */
  async refreshDue(): Promise<void> {
    const now = this.#effects.now();
    const due: [Partition<Owner, Credential>, CacheEntry<Owner, Credential>][] = [];
    for (const partition of this.#partitions.values()) {
      for (const entry of partition.entries.values()) {
        if (entry.needsRefresh(now)) due.push([partition, entry]);
        else if (entry.isExpired(now)) this.#remove(partition, entry.key);
      }
      if (partition.entries.size === 0) this.#drop(partition);
    }
    const queue = due.values();
    const work = async () => {
      for (const [partition, entry] of queue) {
        // the wait for a slot may have been long
        const kept = partition.entries.get(entry.key) === entry;
        const mayRefresh = kept && !this.#options.rests?.(entry.owner);
        if (mayRefresh && entry.needsRefresh(this.#effects.now())) await this.#refresh(entry);
      }
    };
    await Promise.all(Array.from({ length: Math.min(due.length, REFRESHES_AT_A_TIME) }, work));
  }

  async #pass(owner: Owner, key: string, leave: () => void): Promise<Credential> {
    try {
      return await this.#options.exchange(owner, key);
    } finally {
      leave();
    }
  }

  async #refresh(entry: CacheEntry<Owner, Credential>): Promise<void> {
    entry.used = false;
    try {
      await this.#start(entry);
    } catch (error) {
      // kept in the entry and reported by the exchange; the old token is still served
      if (isTransient(error)) entry.used = true;
    }
  }

  #start(entry: CacheEntry<Owner, Credential>): Promise<Credential> {
    const flight = this.#exchange(entry).finally(() => {
      if (entry.flight === flight) entry.flight = undefined;
    });
    entry.flight = flight;
    return flight;
  }

  async #exchange(entry: CacheEntry<Owner, Credential>): Promise<Credential> {
    const { exchange, minimumLife, firstUseCounts } = this.#options;
    const { now, random } = this.#effects;
    for (;;) {
      const { owner } = entry;
      try {
        const token = await exchange(owner, entry.key);
        entry.succeed(token, minimumLife, now(), random());
        if (!firstUseCounts) entry.used = false;
        return token;
      } catch (error) {
        // another caller of the same identity is waiting too, for whom it may succeed
        if (isOfOneCaller(error) && entry.owner !== owner) continue;
        entry.fail(error, now(), random);
        throw error;
      }
    }
  }

  #partitionOf(owner: Owner): Partition<Owner, Credential> {
    const known = this.#byOwner.get(owner);
    if (known !== undefined && !known.dropped) return known;
    const { slot, version } = this.#options.identify(owner);
    let partition = this.#partitions.get(slot);
    if (partition?.version !== version) {
      if (partition !== undefined) this.#drop(partition);
      partition = { slot, version, entries: new Map(), dropped: false };
      this.#partitions.set(slot, partition);
    }
    this.#byOwner.set(owner, partition);
    return partition;
  }

  #add(
    partition: Partition<Owner, Credential>,
    key: string,
    owner: Owner,
    now: number,
  ): CacheEntry<Owner, Credential> {
    if (partition.entries.size >= MOST_PER_IDENTITY) this.#evictFrom(partition);
    else if (this.#size >= MOST_IN_ALL) this.#evictFrom(this.#largest(partition));
    const entry = new CacheEntry<Owner, Credential>(key, owner, now);
    partition.entries.set(key, entry);
    this.#size++;
    return entry;
  }

  #largest(first: Partition<Owner, Credential>): Partition<Owner, Credential> {
    let most = first;
    for (const partition of this.#partitions.values()) {
      if (partition.entries.size > most.entries.size) most = partition;
    }
    return most;
  }

  #evictFrom(partition: Partition<Owner, Credential>): void {
    let oldest: CacheEntry<Owner, Credential> | undefined;
    for (const entry of partition.entries.values()) {
      if (oldest === undefined || entry.usedAt < oldest.usedAt) oldest = entry;
    }
    if (oldest !== undefined) this.#remove(partition, oldest.key);
  }

  #remove(partition: Partition<Owner, Credential>, key: string): void {
    if (partition.entries.delete(key)) this.#size--;
  }

  #drop(partition: Partition<Owner, Credential>): void {
    partition.dropped = true;
    this.#partitions.delete(partition.slot);
    this.#size -= partition.entries.size;
    partition.entries.clear();
  }
}

/** Keeps caches fresh until `signal` is aborted. `refreshDue` must not reject. */
export async function keepRefreshed(
  caches: { refreshDue(): Promise<void> },
  { sleep }: Pick<Effects, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await caches.refreshDue();
    // rejects only because the signal is aborted, which ends the loop
    await sleep(SWEEP_INTERVAL, signal).catch(() => {});
  }
}
