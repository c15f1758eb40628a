import { Fault } from '../core/fault.ts';
import type { AdmissionClient } from '../kubernetes/client.ts';
import type { Namespace } from '../kubernetes/objects.ts';

const MOST_REMEMBERED = 1000;

/**
 * Reads Namespaces, each time from the API server: a Pod admitted by an outdated label would never get credentials, and
 * compared to starting a Pod a request costs nothing. The last known state is used only while the API server is
 * unavailable.
 */
export class Namespaces {
  readonly #asking = new Map<string, Promise<Namespace | undefined>>();
  readonly #seen = new Map<string, Namespace>();

  constructor(private readonly client: Pick<AdmissionClient, 'getNamespace'>) {}

  /** Undefined if it does not exist. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  async get(name: string): Promise<Namespace | undefined> {
    try {
      return await this.#ask(name);
    } catch (error) {
      const seen = this.#seen.get(name);
      if (seen === undefined || !(error instanceof Fault) || error.code !== 'kubernetes-unavailable')
        throw error;
      return seen;
    }
  }

  /** One request for all that ask while it is under way: a Deployment's Pods come in bursts. */
  #ask(name: string): Promise<Namespace | undefined> {
    const asking = this.#asking.get(name);
    if (asking !== undefined) return asking;
    const asked = this.client
      .getNamespace(name)
      .then((namespace) => this.#remember(name, namespace))
      .finally(() => this.#asking.delete(name));
    this.#asking.set(name, asked);
    return asked;
  }

  #remember(name: string, namespace: Namespace | undefined): Namespace | undefined {
    this.#seen.delete(name);
    if (namespace === undefined) return undefined;
    this.#seen.set(name, namespace);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MOST_REMEMBERED && oldest !== undefined) this.#seen.delete(oldest);
    return namespace;
  }
}
