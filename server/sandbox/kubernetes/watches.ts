import type { Sleep } from '../../core/effects.ts';
import { type Change, type Matches, type ObjectStore, withVersion } from './object-store.ts';
import type { Kind, KubernetesObject } from './objects.ts';
import { Refusal, type Status, status } from './status.ts';

interface WatchOptions {
  readonly kind: Kind;
  readonly matches: Matches;
  readonly allowBookmarks: boolean;
  readonly onClosed: () => void;
}

/** The body of one watch: one JSON event on each line, until it ends, is cut or the client leaves. */
class WatchStream {
  readonly #options: WatchOptions;
  readonly #encoder = new TextEncoder();
  readonly #body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => this.#closed(),
    });
  }

  response(): Response {
    return new Response(this.#body, {
      headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
    });
  }

  /** Sends the change as the selector sees it: an object that starts to match is ADDED, one that stops is DELETED. */
  change(change: Change): void {
    const { previous, current, resourceVersion } = change;
    if (change.kind !== this.#options.kind) return;
    const before = previous !== undefined && this.#options.matches(previous);
    const after = current !== undefined && this.#options.matches(current);
    if (after) this.#send(before ? 'MODIFIED' : 'ADDED', current);
    else if (before) this.#send('DELETED', withVersion(previous, resourceVersion));
  }

  added(object: KubernetesObject): void {
    if (this.#options.matches(object)) this.#send('ADDED', object);
  }

  /** Only to clients that asked for bookmarks. */
  bookmark(resourceVersion: number): void {
    if (!this.#options.allowBookmarks) return;
    this.#send('BOOKMARK', {
      kind: this.#options.kind,
      apiVersion: 'v1',
      metadata: { resourceVersion: `${resourceVersion}`, creationTimestamp: null },
    });
  }

  /** Sends an ERROR event and ends, as for a version that was compacted. */
  error(status: Status): void {
    this.#send('ERROR', status);
    this.end();
  }

  /** Ends in an orderly way, as every watch does after some minutes. */
  end(): void {
    this.#controller?.close();
    this.#closed();
  }

  /** The connection breaks in the middle. */
  drop(): void {
    this.#controller?.error(new Error('The watch was dropped'));
    this.#closed();
  }

  #send(type: string, object: object): void {
    this.#controller?.enqueue(this.#encoder.encode(`${JSON.stringify({ type, object })}\n`));
  }

  #closed(): void {
    if (this.#controller === undefined) return;
    this.#controller = undefined;
    this.#options.onClosed();
  }
}

interface WatchRequest {
  readonly kind: Kind;
  readonly matches: Matches;
  readonly allowBookmarks: boolean;
  /** Events after this version; empty or `0`: an ADDED for each object, then all changes. */
  readonly resourceVersion: string;
  /** 0: no time limit. The API server's own is half an hour or more, longer than a stand-in runs. */
  readonly timeoutSeconds: number;
}

/** The watches that are open on a store. */
export class Watches {
  /** How a compacted version is refused: the watch cache sends an ERROR event. */
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

  /** The response to a watch. Throws a 410 {@link Refusal} if `expiredAs` says so. */
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

  /** Ends all in an orderly way, with a last bookmark to those that allow them. */
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

  /** False if the version to continue from is gone. */
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
      // it closed earlier
      return;
    }
    this.#end(watch);
  }

  #end(watch: WatchStream): void {
    watch.bookmark(this.#store.resourceVersion);
    watch.end();
  }
}
