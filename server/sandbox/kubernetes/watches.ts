import type { Sleep } from '../../core/effects.ts';
import type { Matches } from './field-selector.ts';
import type { ObjectStore } from './object-store.ts';
import type { Kind } from './objects.ts';
import { Refusal, status } from './status.ts';
import { WatchStream } from './watch-stream.ts';

export interface WatchRequest {
  readonly kind: Kind;
  readonly matches: Matches;
  readonly allowBookmarks: boolean;
  /** Events after it; empty or `0`: an ADDED for all there is, then on from there. */
  readonly resourceVersion: string;
  /** 0: no end. The API server's own is after half an hour or more, later than a stand-in lives. */
  readonly timeoutSeconds: number;
}

/** The watches that are open on a store. */
export class Watches {
  /** How a version that is compacted away is refused: the watch cache sends an ERROR event. */
  expiredAs: 'event' | 'status' = 'event';
  readonly #store: ObjectStore;
  readonly #sleep: Sleep;
  readonly #open = new Set<WatchStream>();
  readonly #waiting = new Set<() => void>();

  constructor(store: ObjectStore, sleep: Sleep) {
    this.#store = store;
    this.#sleep = sleep;
    store.subscribe((change) => {
      for (const watch of this.#open) watch.change(change);
    });
  }

  get size(): number {
    return this.#open.size;
  }

  async until(satisfied: (open: number) => boolean): Promise<void> {
    while (!satisfied(this.#open.size)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** The answer to a watch. Throws a 410 {@link Refusal} where told to refuse so. */
  open(request: WatchRequest): Response {
    const closed = new AbortController();
    const watch = new WatchStream({
      ...request,
      onClosed: () => {
        this.#open.delete(watch);
        closed.abort();
        this.#notify();
      },
    });
    if (this.#catchUp(watch, request)) {
      this.#open.add(watch);
      this.#notify();
      if (request.timeoutSeconds > 0) void this.#endAfter(request.timeoutSeconds, watch, closed.signal);
    }
    return watch.response();
  }

  sendBookmarks(): void {
    for (const watch of this.#open) watch.bookmark(this.#store.resourceVersion);
  }

  /** An orderly end, with a last bookmark to those that allow them. */
  end(): void {
    for (const watch of [...this.#open]) this.#end(watch);
  }

  /** Cuts the connections. */
  drop(): void {
    for (const watch of [...this.#open]) watch.drop();
  }

  #notify(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** False where there is nothing to go on from. */
  #catchUp(watch: WatchStream, { kind, resourceVersion }: WatchRequest): boolean {
    if (resourceVersion === '' || resourceVersion === '0') {
      for (const object of this.#store.list(kind)) watch.added(object);
      return true;
    }
    const changes = this.#store.changesSince(kind, Number.parseInt(resourceVersion, 10));
    if (changes !== undefined) {
      for (const change of changes) watch.change(change);
      return true;
    }
    const expired = status(
      410,
      `too old resource version: ${resourceVersion} (${this.#store.resourceVersion})`,
    );
    if (this.expiredAs === 'status') throw new Refusal(expired);
    watch.error(expired);
    return false;
  }

  async #endAfter(seconds: number, watch: WatchStream, closed: AbortSignal): Promise<void> {
    try {
      await this.#sleep(seconds * 1000, closed);
    } catch {
      // it closed before its time
      return;
    }
    this.#end(watch);
  }

  #end(watch: WatchStream): void {
    watch.bookmark(this.#store.resourceVersion);
    watch.end();
  }
}
