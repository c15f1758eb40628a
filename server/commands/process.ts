import pino from 'pino';
import type { LogDestination } from '../telemetry/log.ts';

/** Resolves with the signal that asks this process to end: SIGTERM of the kubelet, SIGINT of a terminal. */
export function ended(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  return promise;
}

/** Where logs go: written at once, so that the last line before an end is there. */
export function standardOutput(): LogDestination {
  return pino.destination({ dest: 1, sync: true });
}
