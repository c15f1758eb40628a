import { Fault } from '../core/fault.ts';
import type { ObjectName } from '../kubernetes/objects.ts';

const MOST_REMEMBERED = 1000;

interface LiveObjectsOptions {
  /**
   * Whether the last known state is used while the API server is unavailable. Without it, `get` throws then.
   */
  readonly remember: boolean;
}

/**
 * Reads objects of one kind, each time from the API server: a Pod admitted by an outdated label or annotation would
 * never get its credentials, and compared to starting a Pod a request costs nothing.
 */
export class LiveObjects<T> {
  readonly #reading = new Map<string, Reading<T>>();
  readonly #seen = new Map<string, T>();

  /** `read` returns undefined if the object does not exist, and throws a Fault. */
  constructor(
    private readonly read: (name: ObjectName) => Promise<T | undefined>,
    private readonly options: LiveObjectsOptions,
  ) {}

  /** Undefined if it does not exist. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  async get(name: ObjectName): Promise<T | undefined> {
    try {
      return await this.#readInTurn(name);
    } catch (error) {
      const seen = this.#seen.get(keyOf(name));
      if (seen === undefined || !(error instanceof Fault) || error.code !== 'kubernetes-unavailable')
        throw error;
      return seen;
    }
  }

  /**
   * A Deployment's Pods come in bursts: all that ask while a request is under way share the next one. They may not
   * share that one, as the object may have changed after the API server read it.
   */
  #readInTurn(name: ObjectName): Promise<T | undefined> {
    const current = this.#reading.get(keyOf(name));
    if (current === undefined) return this.#readNow(name);
    current.next ??= current.object.then(
      () => this.#readNow(name),
      () => this.#readNow(name),
    );
    return current.next;
  }

  #readNow(name: ObjectName): Promise<T | undefined> {
    const key = keyOf(name);
    const reading: Reading<T> = {
      object: this.read(name)
        .then((object) => this.#remember(key, object))
        .finally(() => {
          if (this.#reading.get(key) === reading) this.#reading.delete(key);
        }),
    };
    this.#reading.set(key, reading);
    return reading.object;
  }

  #remember(key: string, object: T | undefined): T | undefined {
    if (!this.options.remember) return object;
    this.#seen.delete(key);
    if (object === undefined) return undefined;
    this.#seen.set(key, object);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MOST_REMEMBERED && oldest !== undefined) this.#seen.delete(oldest);
    return object;
  }
}

function keyOf({ namespace = '', name }: ObjectName): string {
  return `${namespace}/${name}`;
}

/** A request that is under way, and the one that follows it. */
interface Reading<T> {
  readonly object: Promise<T | undefined>;
  next?: Promise<T | undefined>;
}
