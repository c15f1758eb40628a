import type { Listing, Resource, WatchEvent } from '../kubernetes/resource.ts';

/** A resource whose lists and watches a test controls. */
export class FakeResource<T> implements Resource<T> {
  lists = 0;
  readonly watches: FakeWatch<T>[] = [];
  /** Returns the next list; a function, so that it can throw or wait. */
  answer: () => Listing<T> | Promise<Listing<T>> = () => ({ items: [], resourceVersion: '1' });

  async list(signal?: AbortSignal): Promise<Listing<T>> {
    this.lists += 1;
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {}); // the response may have come first
    signal?.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
    return Promise.race([this.answer(), aborted.promise]);
  }

  watch(resourceVersion: string, signal: AbortSignal): AsyncIterable<WatchEvent<T>> {
    const watch = new FakeWatch<T>(resourceVersion, signal);
    this.watches.push(watch);
    return watch.events();
  }

  /** The latest watch. */
  get latest(): FakeWatch<T> {
    const watch = this.watches.at(-1);
    if (watch === undefined) throw new Error('no watch has begun');
    return watch;
  }
}

class FakeWatch<T> {
  readonly #queue: (WatchEvent<T> | Error | 'end')[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(
    readonly resourceVersion: string,
    readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true });
  }

  send(...events: (WatchEvent<T> | Error | 'end')[]): void {
    this.#queue.push(...events);
    this.#wake.resolve();
  }

  async *events(): AsyncGenerator<WatchEvent<T>, void, undefined> {
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined) {
        this.signal.throwIfAborted();
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      } else if (next === 'end') return;
      else if (next instanceof Error) throw next;
      else yield next;
    }
  }
}
