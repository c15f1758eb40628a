import { Fault, type FaultCode } from '../core/fault.ts';
import { GoogleFault } from './google-fault.ts';

const TRANSIENT: ReadonlySet<FaultCode> = new Set(['google-unavailable', 'kubernetes-unavailable']);

const FIRST_COOLDOWN = 500;
const LONGEST_COOLDOWN = 10_000;
const LONGEST_RETRY_AFTER = 30_000;
const PERMANENT_COOLDOWN = 5000;

/** Whether the same request may succeed when it is made again. */
export function isTransient(error: unknown): boolean {
  return error instanceof Fault && TRANSIENT.has(error.code);
}

/**
 * Whether it failed for one caller only, though others share its identity: its Pod has gone while
 * the ServiceAccount lives on in other Pods.
 */
export function isOfOneCaller(error: unknown): boolean {
  return error instanceof Fault && error.code === 'bound-object-gone';
}

/** How long Google asks to be left alone, milliseconds; 0 where it does not say. */
export function retryAfter(error: unknown): number {
  return error instanceof GoogleFault ? (error.retryAfter ?? 0) : 0;
}

/**
 * Milliseconds for which a failure is the answer, without asking again. `failures` counts those in a row, from 1.
 * Transient: 0.5 s, doubling to 10 s, and what Google's Retry-After says up to 30 s.
 * Permanent: 5 s, the wait of a person who has just corrected it. Of one caller: not kept.
 */
export function cooldown(error: unknown, failures: number): number {
  if (isOfOneCaller(error)) return 0;
  if (!isTransient(error)) return PERMANENT_COOLDOWN;
  const backOff = Math.min(LONGEST_COOLDOWN, FIRST_COOLDOWN * 2 ** (failures - 1));
  return Math.max(backOff, Math.min(retryAfter(error), LONGEST_RETRY_AFTER));
}
