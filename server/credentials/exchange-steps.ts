import type { Effects } from '../core/effects.ts';
import { backoff, withTimeLimit } from '../core/waiting.ts';
import type { DomainEvents, ExchangeKind } from '../telemetry/events.ts';
import { isTransient, retryAfter } from './failure.ts';

/**
 * From the start of an exchange, how long another attempt may begin: google-auth waits 3 s for an answer of the
 * metadata server (google/auth/compute_engine/_metadata.py), and an attempt takes a while itself. Milliseconds.
 */
export const PATIENCE = 2500;

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1000;
// A connection that some NAT has forgotten hangs: it is given up while the client still waits. Later
// attempts get longer, so that a cloud that is merely slow is not cut off every time.
const FIRST_TIME_LIMIT = 2000;
const TIME_LIMIT = 5000;

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

/**
 * What `attempt` returns, tried again after each transient failure for as long as another attempt may start
 * before `deadline` (milliseconds since the epoch), Retry-After included. `late` is the failure of an attempt
 * that takes too long. Throws the last failure.
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
