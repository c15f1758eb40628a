import { NodeCallers } from '../caller/callers.ts';
import type { Effects } from '../core/effects.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { cloudAnnotations } from '../settings/cloud-annotations.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';

/** The callers of this Node as the server has them, from the first time that they are asked for. */
export class ListedCallers implements AsyncDisposable {
  readonly #callers: NodeCallers;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #listing: Promise<void> | undefined;

  constructor(settings: ServeSettings, client: KubernetesClient, effects: Effects) {
    this.#callers = new NodeCallers({
      ...settings,
      client,
      clouds: cloudAnnotations(settings),
      effects,
      events: { watchRestarted() {}, objectUnreadable() {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });
  }

  /** Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  async callers(): Promise<NodeCallers> {
    this.#running ??= this.#callers.run(this.#ending.signal);
    this.#listing ??= this.#callers.relist();
    await this.#listing;
    return this.#callers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }
}
