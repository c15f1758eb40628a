import type { Random } from '../core/effects.ts';
import { Fault, type FaultCode } from '../core/fault.ts';
import { backoff } from '../core/waiting.ts';

interface UpstreamFaultFacts {
  readonly remedy: string;
  /** Whether the same request may succeed if it is retried. */
  readonly transient: boolean;
  /** The HTTP status of the response; undefined if none came. */
  readonly status?: number | undefined;
  /** The `Retry-After` of the response in milliseconds, if it had one. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** A cloud refused, or did not respond. Each cloud has its own subclass with its own messages. */
export class UpstreamFault extends Fault {
  readonly transient: boolean;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: FaultCode, message: string, facts: UpstreamFaultFacts) {
    super(code, message, { remedy: facts.remedy, cause: facts.cause });
    this.name = 'UpstreamFault';
    this.transient = facts.transient;
    this.status = facts.status;
    this.retryAfter = facts.retryAfter;
  }
}

const FIRST_COOLDOWN = 500;
const LONGEST_COOLDOWN = 10_000;
const LONGEST_RETRY_AFTER = 30_000;
const PERMANENT_COOLDOWN = 5000;

/** Whether the same request may succeed if it is retried. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UpstreamFault) return error.transient;
  return error instanceof Fault && error.code === 'kubernetes-unavailable';
}

/**
 * Whether it failed for one caller only, though others share its identity: its Pod is gone, but other Pods use the
 * same ServiceAccount.
 */
export function isOfOneCaller(error: unknown): boolean {
  return error instanceof Fault && error.code === 'bound-object-gone';
}

/** The cloud's Retry-After in milliseconds; 0 if there is none. */
export function retryAfter(error: unknown): number {
  return error instanceof UpstreamFault ? (error.retryAfter ?? 0) : 0;
}

/**
 * Milliseconds for which a failure is the response, without asking again. `failures` counts those in a row, from 1.
 * Transient: 0.5 s, doubling to 10 s, with jitter, or the cloud's Retry-After up to 30 s if that is longer.
 * Permanent: 5 s, which is how long a person who has just corrected it waits. Of one caller: not cached.
 */
export function cooldown(error: unknown, failures: number, random: Random): number {
  if (isOfOneCaller(error)) return 0;
  if (!isTransient(error)) return PERMANENT_COOLDOWN;
  const pause = backoff(failures, FIRST_COOLDOWN, LONGEST_COOLDOWN, random);
  return Math.max(pause, Math.min(retryAfter(error), LONGEST_RETRY_AFTER));
}
