import type { Matches } from './field-selector.ts';
import { type Change, withVersion } from './object-store.ts';
import type { Kind, KubernetesObject } from './objects.ts';
import type { Status } from './status.ts';

export interface WatchOptions {
  readonly kind: Kind;
  readonly matches: Matches;
  readonly allowBookmarks: boolean;
  readonly onClosed: () => void;
}

/** The body of one watch: a JSON event a line, until it ends, is cut or the client leaves. */
export class WatchStream {
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

  /** The event that this change is to a watcher of this selector: entering is ADDED, leaving DELETED. */
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

  /** An ERROR event and the end, as after a version that is compacted away. */
  error(status: Status): void {
    this.#send('ERROR', status);
    this.end();
  }

  /** The orderly end that a watch comes to every few minutes. */
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
