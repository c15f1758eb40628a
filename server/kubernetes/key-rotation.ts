import { backoff } from '../core/backoff.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { DomainEvents, Log } from '../telemetry/events.ts';
import { keySetDifference, type PublicKey } from './key-set.ts';

export interface KeyRotationOptions {
  readonly read: (signal: AbortSignal) => Promise<readonly PublicKey[]>;
  readonly effects: Pick<Effects, 'sleep' | 'random'>;
  readonly events: Pick<DomainEvents, 'clusterKeysCompared'>;
  readonly log: Log;
}

const HOUR = 3_600_000;
const FIRST_RETRY = 10_000;

/**
 * Compares the cluster's public keys with those that it had at start, about every hour: a provider with uploaded keys
 * has to be told of a new one before the API server signs with it. Nothing depends on it, so no failure gets out.
 */
export class KeyRotation {
  readonly #options: KeyRotationOptions;
  #atStart: readonly PublicKey[] | undefined;
  #told = '[]';
  #failures = 0;
  /** The codes of failures that the log has since the last success. */
  readonly #reported = new Set<string>();

  constructor(options: KeyRotationOptions) {
    this.#options = options;
  }

  /** Until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { sleep } = this.#options.effects;
    while (!signal.aborted) {
      const wait = await this.#look(signal);
      await sleep(wait, signal).catch(() => {}); // aborted
    }
  }

  /** Milliseconds until the next look. */
  async #look(signal: AbortSignal): Promise<number> {
    const { read, effects } = this.#options;
    try {
      this.#compare(await read(signal));
      this.#failures = 0;
      this.#reported.clear();
    } catch (error) {
      if (signal.aborted) return 0;
      this.#report(error);
      this.#failures += 1;
      if (!(error instanceof Fault && error.code === 'kubernetes-forbidden')) {
        return backoff(this.#failures, FIRST_RETRY, HOUR, effects.random);
      }
    }
    return HOUR * (0.5 + effects.random());
  }

  #compare(keys: readonly PublicKey[]): void {
    const { events, log } = this.#options;
    this.#atStart ??= keys;
    const { added, removed } = keySetDifference(this.#atStart, keys);
    const kids = [...added, ...removed];
    events.clusterKeysCompared(kids.length > 0);
    const telling = JSON.stringify(kids.length === 0 ? kids : [added, removed]);
    if (telling === this.#told) return;
    this.#told = telling;
    if (kids.length === 0) log.info({}, "the cluster's public keys are those of this server's start again");
    else log.warn({ added, removed, remedy: remedy(added) }, "the cluster's public keys have changed");
  }

  #report(error: unknown): void {
    const { code, remedy, message } =
      error instanceof Fault ? error : { code: 'unknown', remedy: '', message: String(error) };
    if (this.#reported.has(code)) return;
    this.#reported.add(code);
    this.#options.log.warn(
      { reason: message, remedy },
      "the cluster's public keys cannot be read: a change of them will not be told",
    );
  }
}

function remedy(added: readonly string[]): string {
  const check = "Compare them with the provider's: scripts/create-or-update-provider --check.";
  return added.length > 0
    ? `${check} Google refuses tokens signed by a key that was added until the provider has it: run it without --check.`
    : `${check} Run it without --check once no token is in use that a removed key has signed: Google takes them until then.`;
}
