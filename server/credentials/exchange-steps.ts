import type { Effects } from '../core/effects.ts';
import { backoff, withTimeLimit } from '../core/waiting.ts';
import type { DomainEvents, ExchangeKind } from '../telemetry/events.ts';
import { isTransient, retryAfter } from './failure.ts';

/**
 * How long after the start of an exchange a retry may begin: Google's Python client waits 3 s for the metadata
 * server (google/auth/compute_engine/_metadata.py), and an attempt itself takes a while. Milliseconds.
 */
export const PATIENCE = 2500;

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1000;
// A connection that a NAT has forgotten hangs: it is abandoned while the client still waits. Later
// attempts get longer, so that a slow cloud is not cut off every time.
const FIRST_TIME_LIMIT = 2000;
const TIME_LIMIT = 5000;

/** Runs the steps of exchanges: each is counted, timed, limited in time and retried after transient failures. */
export class ExchangeSteps {
  constructor(
    private readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>,
    private readonly events: Pick<DomainEvents, 'exchanged'>,
  ) {}

  /**
   * Returns what `attempt` returns; retries may begin before `deadline`, milliseconds since the epoch.
   * `late` is the failure of an attempt that times out. Throws the last failure.
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

/**
 * Returns what `attempt` returns, retried after each transient failure for as long as another attempt may start
 * before `deadline` (milliseconds since the epoch), Retry-After included. `late` is the failure of an attempt
 * that times out. Throws the last failure.
 */
export async function retry<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  late: () => Error,
  deadline: number,
  { now, sleep, random }: Pick<Effects, 'now' | 'sleep' | 'random'>,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    const limit = failures === 0 ? FIRST_TIME_LIMIT : TIME_LIMIT;
    try {
      return await withTimeLimit(sleep, limit, late, undefined, attempt);
    } catch (error) {
      if (!isTransient(error)) throw error;
      const pause = Math.max(backoff(failures + 1, FIRST_PAUSE, LONGEST_PAUSE, random), retryAfter(error));
      if (now() + pause >= deadline) throw error;
      await sleep(pause);
    }
  }
}
