import pino from 'pino';
import type { Log } from './events.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'text';

export interface LogSettings {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Where whole lines go; `pino.destination({ dest: 1, sync: true })` is standard output. */
export interface LogDestination {
  write(line: string): void;
}

/** The line of a JSON log entry for people: `TIME LEVEL message key=value …`. */
function asText(entry: string): string {
  const { time, level, message, ...fields }: Record<string, unknown> = JSON.parse(entry);
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${message}${pairs.join('')}\n`;
}

/**
 * A log of `level` and above. An Error goes under the key `error`. A Secret prints as `[redacted]` wherever it
 * stands in the fields; strings are written as JSON, so a caller's bytes cannot begin a line of their own.
 */
export function createLog(level: LogLevel, format: LogFormat, destination: LogDestination): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
    },
    format === 'json' ? destination : { write: (entry) => destination.write(asText(entry)) },
  );
}
