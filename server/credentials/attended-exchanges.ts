import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import { type Log, RepeatLimit } from '../telemetry/log.ts';
import { BackOffs } from './back-offs.ts';
import type { LastFailure } from './credential-status.ts';
import type { ExchangeLimits } from './exchange-limits.ts';
import { isOfOneCaller, isTransient, UpstreamFault } from './failure.ts';

export interface AttendedExchangesDependencies {
  readonly effects: Pick<Effects, 'now' | 'random'>;
  readonly events: Pick<DomainEvents, 'exchangeThrottled'>;
  /** What callers may cost; shared by all clouds. */
  readonly limits: Pick<ExchangeLimits, 'enter'>;
  readonly log: Pick<Log, 'debug' | 'warn' | 'error'>;
  /** Called with a refusal that a fresh read of the ServiceAccount may explain. */
  readonly refused: (caller: Caller) => void;
}

interface AttendedExchangesOptions {
  /** The name of the cloud, as the log has it. */
  readonly cloud: string;
  /** Fields of a line of the log about a caller: who it is in this cloud. */
  readonly identity: (caller: Caller) => Readonly<Record<string, string>>;
}

/**
 * What surrounds the exchanges of one cloud: the limits of callers before an exchange, and after it the back-offs, the
 * log and another look at the ServiceAccount. One cloud's failures are kept apart from another's.
 */
export class AttendedExchanges {
  readonly #options: AttendedExchangesOptions;
  readonly #dependencies: AttendedExchangesDependencies;
  readonly #backOffs: BackOffs;
  readonly #warnings: RepeatLimit;
  readonly #reported = new WeakSet<Fault>();
  readonly #lastFailures = new WeakMap<ServiceAccount, LastFailure>();

  constructor(options: AttendedExchangesOptions, dependencies: AttendedExchangesDependencies) {
    const { effects, log } = dependencies;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#backOffs = new BackOffs(effects);
    this.#warnings = new RepeatLimit(log, effects.now);
  }

  /** How long the calls of an exchange that begins now are retried, milliseconds. */
  patience(): number {
    return this.#backOffs.patience();
  }

  /** Whether nothing is refreshed in the name of this caller for now, because the cloud fails. */
  rests(caller: Caller): boolean {
    return this.#backOffs.failureOf(caller) !== undefined;
  }

  /** The last exchange that failed for this ServiceAccount, through whichever Pod, until the ServiceAccount changes. */
  lastFailure({ serviceAccount }: Caller): LastFailure | undefined {
    return this.#lastFailures.get(serviceAccount);
  }

  /**
   * Called before an exchange on request; what it returns is called when the exchange has ended. Throws the failure
   * that this caller is backing off from, `caller-throttled` or `caller-busy`.
   */
  enter(caller: Caller): () => void {
    const { limits, events } = this.#dependencies;
    const failure = this.#backOffs.failureOf(caller);
    if (failure !== undefined) {
      events.exchangeThrottled('backing-off');
      throw failure;
    }
    const leave = limits.enter(caller);
    this.#backOffs.begin(caller);
    return leave;
  }

  /**
   * Runs an exchange. Its outcome feeds the back-offs, success only if it is the `last` of several; a failure is
   * reported once, however many exchanges it fails and callers wait for it.
   */
  async run<T>(caller: Caller, exchange: () => Promise<T>, { last }: { readonly last: boolean }): Promise<T> {
    const startedAt = this.#dependencies.effects.now();
    try {
      const credential = await exchange();
      if (last) this.#backOffs.succeeded(caller);
      return credential;
    } catch (error) {
      this.#backOffs.failed(caller, error, startedAt);
      if (error instanceof Fault && !this.#reported.has(error)) {
        this.#reported.add(error);
        this.#report(caller, error);
      }
      throw error;
    }
  }

  #report(caller: Caller, fault: Fault): void {
    const { refused, log } = this.#dependencies;
    const { cloud, identity } = this.#options;
    const { namespace, name } = caller.serviceAccount;
    const fields = {
      code: fault.code,
      reason: fault.message,
      remedy: fault.remedy,
      serviceAccount: `${namespace}/${name}`,
      boundTo: `${caller.boundTo.kind}/${caller.boundTo.name}`,
      ...identity(caller),
    };
    const line = `${fault.code} ${fields.serviceAccount}`;
    if (isOfOneCaller(fault)) {
      // how the last refresh for a deleted Pod ends
      log.debug(fields, 'skipped refresh: Pod is gone');
      return;
    }
    const at = this.#dependencies.effects.now();
    this.#lastFailures.set(caller.serviceAccount, { code: fault.code, reason: fault.message, at });
    if (!(fault instanceof UpstreamFault) || isTransient(fault)) {
      this.#warnings.warn(line, fields, 'failed to obtain a token');
    } else {
      this.#warnings.warn(line, fields, `${cloud} refused a token`);
      refused(caller);
    }
  }
}
