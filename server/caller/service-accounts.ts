import type { Effects } from '../core/effects.ts';
import { backoff } from '../core/waiting.ts';
import { type KubernetesClient, serviceAccountMissing } from '../kubernetes/client.ts';
import type { ServiceAccount, ServiceAccountName } from '../kubernetes/objects.ts';
import type { Log } from '../telemetry/log.ts';

/** An annotated ServiceAccount that works is looked at again after this. */
const SETTLED_MILLISECONDS = 300_000;
/** One without (valid) annotation, refused by Google or missing: somebody may be at work on it. */
const UNSETTLED_MILLISECONDS = 5_000;
/** How long a caller waits for a look at a ServiceAccount that is known already. */
const PATIENCE_MILLISECONDS = 1_000;
const FIRST_BACKOFF_MILLISECONDS = 1_000;
const LONGEST_BACKOFF_MILLISECONDS = 30_000;

/** What of a ServiceAccount's annotations a cloud reads. */
export interface CloudAnnotations {
  /** The keys: no others are kept, for one object may carry 256 KiB of them. */
  readonly keys: readonly string[];
  /** Whether they name an identity of this cloud as they should: then nobody is likely at work on them. */
  readonly areComplete: (serviceAccount: ServiceAccount) => boolean;
}

interface ServiceAccountsOptions {
  readonly client: Pick<KubernetesClient, 'getServiceAccount'>;
  readonly clouds: readonly CloudAnnotations[];
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly log: Log;
}

/** The ServiceAccounts in use on this Node: as many as its Pods have, forgotten when the last one is gone. */
export class ServiceAccounts {
  readonly #kept = new Map<string, KeptServiceAccount>();

  constructor(private readonly options: ServiceAccountsOptions) {}

  /** The one of this name, which makes no request until it is asked. */
  of(name: ServiceAccountName): KeptServiceAccount {
    const key = keyOf(name);
    const kept = this.#kept.get(key) ?? new KeptServiceAccount(name, this.options);
    this.#kept.set(key, kept);
    return kept;
  }

  forget(name: ServiceAccountName): void {
    this.#kept.delete(keyOf(name));
  }

  get size(): number {
    return this.#kept.size;
  }
}

/** One ServiceAccount, looked at only when a caller asks, and no more than one look at a time. */
export class KeptServiceAccount {
  #known: ServiceAccount | undefined;
  /** Why there is none. */
  #fault: unknown;
  #refused = false;
  #lookedAt = 0;
  /** No look before this time. */
  #dueAt = 0;
  #failures = 0;
  #looking: Promise<void> | undefined;

  constructor(
    private readonly name: ServiceAccountName,
    private readonly options: ServiceAccountsOptions,
  ) {}

  /**
   * The ServiceAccount without waiting; undefined if the caller has to wait for a look. The same object until
   * its UID or annotation changes. A look that is due, but which nobody need wait for, is begun.
   */
  current(): ServiceAccount | undefined {
    const known = this.#known;
    if (known === undefined || this.options.effects.now() < this.#dueAt) return known;
    // while the API server does not answer there is nothing to wait for
    const mustWait = this.#failures === 0 && (this.#refused || !this.#isComplete(known));
    if (mustWait) return undefined;
    this.#look().catch(() => {}); // logged, and tried again later
    return known;
  }

  /** The ServiceAccount, after a look if one is due. Throws `service-account-missing` and the client's faults. */
  async resolve(): Promise<ServiceAccount> {
    const known = this.current();
    if (known !== undefined) return known;
    if (this.#known === undefined) {
      if (this.options.effects.now() >= this.#dueAt) await this.#look();
    } else {
      await this.#lookWithPatience();
    }
    if (this.#known === undefined) throw this.#fault;
    return this.#known;
  }

  /** Google refused it: the annotation or a binding may be wrong, and be put right any moment. */
  refused(serviceAccount: ServiceAccount): void {
    if (serviceAccount !== this.#known) return;
    this.#refused = true;
    this.#dueAt = Math.min(this.#dueAt, this.#lookedAt + UNSETTLED_MILLISECONDS);
  }

  async #lookWithPatience(): Promise<void> {
    const answered = new AbortController();
    const patience = this.options.effects.sleep(PATIENCE_MILLISECONDS, answered.signal);
    try {
      await Promise.race([this.#look(), patience]);
    } catch {
      // logged; the known one is served on
    } finally {
      patience.catch(() => {});
      answered.abort();
    }
  }

  #isComplete(serviceAccount: ServiceAccount): boolean {
    return this.options.clouds.some((cloud) => cloud.areComplete(serviceAccount));
  }

  #relevant({ annotations }: ServiceAccount): Record<string, string> {
    const keys = this.options.clouds.flatMap((cloud) => cloud.keys);
    return Object.fromEntries(Object.entries(annotations).filter(([key]) => keys.includes(key)));
  }

  #look(): Promise<void> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #ask(): Promise<void> {
    const { client, effects, log } = this.options;
    const { namespace, name } = this.name;
    try {
      const got = await client.getServiceAccount(namespace, name);
      const found = got && { ...got, annotations: this.#relevant(got) };
      this.#failures = 0;
      this.#refused = false;
      this.#lookedAt = effects.now();
      this.#fault = found === undefined ? serviceAccountMissing(this.name) : undefined;
      if (found === undefined || !isSame(found, this.#known)) this.#known = found;
      const settled = found !== undefined && this.#isComplete(found);
      this.#dueAt = this.#lookedAt + (settled ? SETTLED_MILLISECONDS : UNSETTLED_MILLISECONDS);
    } catch (error) {
      this.#failures += 1;
      this.#fault = error;
      const milliseconds = Math.round(
        backoff(this.#failures, FIRST_BACKOFF_MILLISECONDS, LONGEST_BACKOFF_MILLISECONDS, effects.random),
      );
      this.#dueAt = effects.now() + milliseconds;
      log.warn({ namespace, name, err: error, milliseconds }, 'cannot look at ServiceAccount, pausing');
      throw error;
    }
  }
}

function keyOf({ namespace, name }: ServiceAccountName): string {
  return `${namespace}/${name}`;
}

function isSame(a: ServiceAccount, b: ServiceAccount | undefined): boolean {
  return b !== undefined && a.uid === b.uid && Bun.deepEquals(a.annotations, b.annotations);
}
