import type { Effects } from '../core/effects.ts';
import type { DomainEvents, ExchangeKind } from '../telemetry/events.ts';
import { isTransient } from './failure.ts';
import { retry } from './retry.ts';

/** Runs the steps of exchanges: each counted, timed, limited in time and retried while its failures are transient. */
export class ExchangeSteps {
  constructor(
    private readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>,
    private readonly events: Pick<DomainEvents, 'exchanged'>,
  ) {}

  /**
   * What `attempt` returns; another one may begin before `deadline`, milliseconds since the epoch.
   * `late` is the failure of an attempt that takes too long. Throws the last failure.
   */
  run<T>(
    kind: ExchangeKind,
    deadline: number,
    late: () => Error,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { now } = this.effects;
    const counted = async (signal: AbortSignal): Promise<T> => {
      const startedAt = now();
      try {
        const result = await attempt(signal);
        this.events.exchanged(kind, 'ok', (now() - startedAt) / 1000);
        return result;
      } catch (error) {
        const result = isTransient(error) ? 'unavailable' : 'refused';
        this.events.exchanged(kind, result, (now() - startedAt) / 1000);
        throw error;
      }
    };
    return retry(counted, late, deadline, this.effects);
  }
}
