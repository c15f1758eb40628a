import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { backoff } from '../core/waiting.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import type { Log } from '../telemetry/log.ts';
import type { Unreadable } from './objects.ts';
import { type Resource, ResourceVersionExpired, type WatchEvent } from './resource.ts';

/**
 * After this much silence the watch is asked for again, from where it was, for its connection may have died unseen.
 * Silence alone is no failure: an API server has a bookmark for each watch about once a minute, but sends it only if it
 * is newer than the version that the watch began at (cacheWatcher.process of k8s.io/apiserver). So a watch hears
 * nothing for as long as no Pod of the whole cluster changes.
 */
const LONGEST_SILENCE_MILLISECONDS = 150_000;
/** A watch that ends sooner, and without a word, is a failure: were it not, it would be asked for in a loop. */
const SHORTEST_WATCH_MILLISECONDS = 1_000;
const FIRST_BACKOFF_MILLISECONDS = 1_000;
const LONGEST_BACKOFF_MILLISECONDS = 30_000;
/** After so many failures the fault may lie in the version (etcd restored from a backup): list again. */
const FAILURES_BEFORE_LIST = 3;
const MOST_SAID = 128;

/** What an object is known by for as long as it exists. */
export interface Identified {
  readonly uid: string;
}

/** What is kept the same as the API server's objects. */
export interface Replica<T extends Identified> {
  /** These are all. */
  replace(objects: readonly T[]): void;
  /** This one is new or has changed. */
  put(object: T): void;
  /** This one is gone, or can no longer be read. */
  remove(object: Identified): void;
}

interface ReflectorOptions<T extends Identified> {
  readonly resource: Resource<T>;
  readonly replica: Replica<T>;
  readonly name: 'pods' | 'nodes';
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly events: Pick<DomainEvents, 'watchRestarted' | 'objectUnreadable'>;
  readonly log: Log;
}

class RelistWanted extends Error {}

class WatchSilent extends Error {}

/**
 * Keeps a replica of one resource by list and watch, as client-go's reflector does: resumes where a watch ended,
 * lists again where the version has expired, backs off from failures. While the API server is gone the replica
 * stays as it was.
 */
export class Reflector<T extends Identified> {
  readonly #options: ReflectorOptions<T>;
  #inSync = false;
  #version: string | undefined;
  #failures = 0;
  /** Which objects the log has been told of, and why. */
  readonly #said = new Set<string>();
  #running: AbortSignal | undefined;
  /** Set while a list is asked for by {@link relist}. */
  #relisting: PromiseWithResolvers<void> | undefined;
  /** Set while there is something to interrupt for such a list: a watch or a pause. */
  #interruptible: AbortController | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
  }

  /** Whether the first list is done; stays true when the API server goes away. */
  get inSync(): boolean {
    return this.#inSync;
  }

  /** Keeps the replica until `signal` is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    this.#running = signal;
    while (!signal.aborted) await this.#round(signal);
    this.#relisting?.reject(signal.reason);
  }

  /**
   * Resolves when the replica is as new as the API server; several at once share one request. Throws as
   * {@link Resource.list} does.
   */
  relist(): Promise<void> {
    if (this.#running?.aborted) return Promise.reject(this.#running.reason);
    if (this.#relisting === undefined) {
      this.#relisting = Promise.withResolvers();
      this.#relisting.promise.catch(() => {}); // whoever asked may have been answered otherwise by then
      this.#interruptible?.abort(new RelistWanted());
    }
    return this.#relisting.promise;
  }

  /** A list where one is due, then a watch until it ends, then a pause where that was a failure. */
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
      // a version just listed that has expired already is a fault of the API server: no loop without a pause
      if (expired && !listed) return;
      await this.#pause(error, signal);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { resource, replica, name, log } = this.#options;
    try {
      const { items, unreadable = [], resourceVersion } = await resource.list(signal);
      replica.replace(items);
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
    const { replica } = this.#options;
    if (event.type === 'UNREADABLE') this.#leaveOut(event.object);
    else if (event.type === 'DELETED') replica.remove(event.object);
    else if (event.type !== 'BOOKMARK') replica.put(event.object);
    this.#version = event.resourceVersion ?? this.#version;
    this.#failures = 0;
  }

  /** What was known of it may be wrong by now: it is forgotten until it can be read again. */
  #leaveOut({ uid, name, cause }: Unreadable): void {
    const { replica, name: resource, events, log } = this.#options;
    if (uid !== undefined) replica.remove({ uid });
    events.objectUnreadable(resource);
    // a Pod that changes every second would fill the log with it
    const said = `${uid} ${cause.message}`;
    if (this.#said.has(said)) return;
    if (this.#said.size >= MOST_SAID) this.#said.clear();
    this.#said.add(said);
    log.warn(
      { resource, name, uid, reason: cause.message, remedy: cause.remedy },
      'left out unreadable object',
    );
  }

  /** Aborts the watch by {@link WatchSilent} once nothing was heard for too long. */
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
      // the watch was over first
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
      // a list is wanted now, or all ends: the loop sees which
    }
  }

  /** Runs what ends when `signal` is aborted or {@link relist} is called, by the reason of either. */
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
      if (this.#relisting !== undefined) throw new RelistWanted(); // asked for where nothing could be interrupted
      await work(interruption);
    } catch (error) {
      interruption.signal.throwIfAborted(); // whatever the abort made the work throw, its reason is the cause
      throw error;
    } finally {
      this.#interruptible = undefined;
      signal.removeEventListener('abort', stop);
    }
  }
}

function endedAtOnce(): Fault {
  return new Fault('kubernetes-unavailable', 'the watch ended at once, without an event', {
    remedy: 'It is taken up again; check the API server and what stands before it.',
  });
}
