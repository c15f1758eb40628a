import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { backoff } from '../core/waiting.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import type { Log } from '../telemetry/log.ts';
import type { Unreadable } from './objects.ts';
import { type Resource, ResourceVersionExpired, type WatchEvent } from './resource.ts';

/**
 * After this much silence the watch is resumed on a new connection, since the old one may be dead.
 * Silence alone is not a failure: an API server has a bookmark for each watch about once a minute, but sends it only if
 * it is newer than the version that the watch began at (cacheWatcher.process of k8s.io/apiserver). So a watch is silent
 * for as long as no Pod of the whole cluster changes.
 */
const LONGEST_SILENCE_MILLISECONDS = 150_000;
/** A watch that ends sooner, without an event, is a failure; otherwise it would be started again in a loop. */
const SHORTEST_WATCH_MILLISECONDS = 1_000;
const FIRST_BACKOFF_MILLISECONDS = 1_000;
const LONGEST_BACKOFF_MILLISECONDS = 30_000;
/** After so many failures the version may be the cause (etcd restored from a backup): list again. */
const FAILURES_BEFORE_LIST = 3;
const MOST_SAID = 128;

/** An object's identity for as long as it exists. */
export interface Identified {
  readonly uid: string;
}

/** A store that follows the API server's objects. */
export interface Store<T extends Identified> {
  /** Replaces all objects. */
  replace(objects: readonly T[]): void;
  /** Adds or replaces an object. */
  put(object: T): void;
  /** Removes an object that is gone or can no longer be read. */
  remove(object: Identified): void;
}

interface ReflectorOptions<T extends Identified> {
  readonly resource: Resource<T>;
  readonly store: Store<T>;
  readonly name: 'pods' | 'nodes';
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly events: Pick<DomainEvents, 'watchRestarted' | 'objectUnreadable'>;
  readonly log: Log;
}

class RelistWanted extends Error {}

class WatchSilent extends Error {}

/**
 * Keeps a store of one resource by list and watch, as client-go's reflector does: resumes a watch from its last version,
 * lists again if the version has expired, and backs off after failures. While the API server is unavailable the store
 * keeps its objects.
 */
export class Reflector<T extends Identified> {
  readonly #options: ReflectorOptions<T>;
  #inSync = false;
  #version: string | undefined;
  #failures = 0;
  /** The objects and reasons that have been logged. */
  readonly #said = new Set<string>();
  #running: AbortSignal | undefined;
  /** Set while {@link relist} waits for a list. */
  #relisting: PromiseWithResolvers<void> | undefined;
  /** Set while a watch or a pause can be interrupted for such a list. */
  #interruptible: AbortController | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
  }

  /** Whether the first list is done; stays true when the API server goes away. */
  get inSync(): boolean {
    return this.#inSync;
  }

  /** Keeps the store until `signal` is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    this.#running = signal;
    while (!signal.aborted) await this.#round(signal);
    this.#relisting?.reject(signal.reason);
  }

  /**
   * Resolves when the store is as new as the API server; concurrent calls share one request. Throws as
   * {@link Resource.list} does.
   */
  relist(): Promise<void> {
    if (this.#running?.aborted) return Promise.reject(this.#running.reason);
    if (this.#relisting === undefined) {
      this.#relisting = Promise.withResolvers();
      this.#relisting.promise.catch(() => {}); // the caller may not be waiting any more
      this.#interruptible?.abort(new RelistWanted());
    }
    return this.#relisting.promise;
  }

  /** Lists if needed, then watches until the watch ends, then pauses if that was a failure. */
  async #round(signal: AbortSignal): Promise<void> {
    let listed = false;
    try {
      if (this.#version === undefined || this.#relisting !== undefined) {
        await this.#list(signal);
        listed = true;
      }
      await this.#interruptibly(signal, (interruption) => this.#watch(interruption));
      this.#options.events.watchRestarted(this.#options.name, 'ended');
    } catch (error) {
      if (signal.aborted || error instanceof RelistWanted) return;
      if (error instanceof WatchSilent) {
        this.#options.events.watchRestarted(this.#options.name, 'silent');
        return;
      }
      const expired = error instanceof ResourceVersionExpired;
      this.#options.events.watchRestarted(this.#options.name, expired ? 'expired' : 'failed');
      if (expired) this.#version = undefined;
      // a version that expires right after its list is a fault of the API server: do not loop without a pause
      if (expired && !listed) return;
      await this.#pause(error, signal);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { resource, store, name, log } = this.#options;
    try {
      const { items, unreadable = [], resourceVersion } = await resource.list(signal);
      store.replace(items);
      for (const object of unreadable) this.#leaveOut(object);
      this.#version = resourceVersion;
      if (!this.#inSync) log.info({ resource: name, count: items.length }, 'in sync');
      this.#inSync = true;
      this.#relisting?.resolve();
    } catch (error) {
      this.#relisting?.reject(error);
      throw error;
    } finally {
      this.#relisting = undefined;
    }
  }

  async #watch(interruption: AbortController): Promise<void> {
    const { resource, effects } = this.#options;
    const startedAt = effects.now();
    let heardAt: number | undefined;
    const over = new AbortController();
    this.#endSilence(interruption, over.signal, () => heardAt ?? startedAt);
    try {
      for await (const event of resource.watch(this.#version ?? '', interruption.signal)) {
        heardAt = effects.now();
        this.#apply(event);
      }
    } finally {
      over.abort();
    }
    interruption.signal.throwIfAborted();
    if (heardAt === undefined && effects.now() - startedAt < SHORTEST_WATCH_MILLISECONDS) {
      throw endedAtOnce();
    }
    this.#failures = 0;
  }

  #apply(event: WatchEvent<T>): void {
    const { store } = this.#options;
    if (event.type === 'UNREADABLE') this.#leaveOut(event.object);
    else if (event.type === 'DELETED') store.remove(event.object);
    else if (event.type !== 'BOOKMARK') store.put(event.object);
    this.#version = event.resourceVersion ?? this.#version;
    this.#failures = 0;
  }

  /** Removes it until it can be read again, since the last known state may be wrong. */
  #leaveOut({ uid, name, cause }: Unreadable): void {
    const { store, name: resource, events, log } = this.#options;
    if (uid !== undefined) store.remove({ uid });
    events.objectUnreadable(resource);
    // a Pod that changes every second would fill the log
    const said = `${uid} ${cause.message}`;
    if (this.#said.has(said)) return;
    if (this.#said.size >= MOST_SAID) this.#said.clear();
    this.#said.add(said);
    log.warn(
      { resource, name, uid, reason: cause.message, remedy: cause.remedy },
      'left out unreadable object',
    );
  }

  /** Aborts the watch by {@link WatchSilent} if it is silent for too long. */
  async #endSilence(watch: AbortController, over: AbortSignal, heardAt: () => number): Promise<void> {
    const { now, sleep } = this.#options.effects;
    try {
      for (;;) {
        const left = heardAt() + LONGEST_SILENCE_MILLISECONDS - now();
        if (left <= 0) break;
        await sleep(left, over);
      }
      watch.abort(new WatchSilent());
    } catch {
      // the watch ended first
    }
  }

  async #pause(error: unknown, signal: AbortSignal): Promise<void> {
    const { name, effects, log } = this.#options;
    this.#failures += 1;
    if (this.#failures >= FAILURES_BEFORE_LIST) this.#version = undefined;
    const milliseconds = Math.round(
      backoff(this.#failures, FIRST_BACKOFF_MILLISECONDS, LONGEST_BACKOFF_MILLISECONDS, effects.random),
    );
    log.warn({ resource: name, err: error, failures: this.#failures, milliseconds }, 'watch failed, pausing');
    try {
      await this.#interruptibly(signal, (pause) => effects.sleep(milliseconds, pause.signal));
    } catch {
      // a relist, or the end: the loop handles both
    }
  }

  /** Runs work that is interrupted if `signal` is aborted or {@link relist} is called, with the reason of either. */
  async #interruptibly(
    signal: AbortSignal,
    work: (interruption: AbortController) => Promise<void>,
  ): Promise<void> {
    const interruption = new AbortController();
    const stop = () => interruption.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    this.#interruptible = interruption;
    try {
      if (signal.aborted) stop();
      if (this.#relisting !== undefined) throw new RelistWanted(); // requested while nothing could be interrupted
      await work(interruption);
    } catch (error) {
      interruption.signal.throwIfAborted(); // the reason of the abort, whatever the work threw
      throw error;
    } finally {
      this.#interruptible = undefined;
      signal.removeEventListener('abort', stop);
    }
  }
}

function endedAtOnce(): Fault {
  return new Fault('kubernetes-unavailable', 'the watch ended immediately, without an event', {
    remedy: 'The watch will resume. Check the API server and any proxy in front of it.',
  });
}
