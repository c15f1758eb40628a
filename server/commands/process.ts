import { constants } from 'node:os';
import pino from 'pino';
import type { LogDestination } from '../telemetry/log.ts';

type EndSignal = 'SIGTERM' | 'SIGINT';

/** SIGTERM of the kubelet, SIGINT of a terminal. */
const END_SIGNALS: readonly EndSignal[] = ['SIGTERM', 'SIGINT'];

/**
 * Ends this process at once on {@link END_SIGNALS}, unless it waits for {@link ended}. The kernel takes no default
 * action for process 1 of a container: without a handler a Pod that is deleted would last its whole grace period.
 */
export function endOnSignals(): void {
  for (const signal of END_SIGNALS) process.on(signal, endAtOnce);
}

function endAtOnce(signal: NodeJS.Signals): never {
  process.exit(128 + constants.signals[signal]);
}

/** Resolves with the signal that asks this process to end. A second one ends it at once. */
export function ended(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const end = (signal: NodeJS.Signals) => {
    for (const each of END_SIGNALS) process.off(each, end);
    endOnSignals();
    resolve(signal);
  };
  for (const signal of END_SIGNALS) {
    process.off(signal, endAtOnce);
    process.on(signal, end);
  }
  return promise;
}

/** The destination of logs: synchronous, so the last line before an exit is written. */
export function standardOutput(): LogDestination {
  return pino.destination({ dest: 1, sync: true });
}

/** Ends this process, with no error, once nobody reads what it writes: `demo | head`. */
export function endWithReader(output: NodeJS.WriteStream): void {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}
