import pino from 'pino';
import type { Now } from '../core/effects.ts';

/** Structured logging as pino does it: fields first, then a constant message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

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
 * A log of `level` and above. An Error goes under the key `error`. A Secret prints as `[redacted]` in every field;
 * strings are written as JSON, so a caller's input cannot start a new line.
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

/** Milliseconds between two lines of one key. */
const INTERVAL = 30_000;
/** Beyond that, the key that was written longest ago is dropped. */
const MOST_KEYS = 1024;

type Lines = Pick<Log, 'warn' | 'error'>;

interface Written {
  readonly at: number;
  suppressed: number;
}

/**
 * A log for messages that callers can cause: for each key (a message and its subject) one line every 30 seconds, with the
 * number of lines `suppressed` since the previous one. A key must not contain a caller's input.
 */
export class RepeatLimit {
  readonly #log: Lines;
  readonly #now: Now;
  /** By key, in the order of writing. */
  readonly #written = new Map<string, Written>();

  constructor(log: Lines, now: Now) {
    this.#log = log;
    this.#now = now;
  }

  warn(key: string, fields: object, message: string): void {
    const suppressed = this.#admit(key);
    if (suppressed !== undefined) this.#log.warn(withCount(fields, suppressed), message);
  }

  error(key: string, fields: object, message: string): void {
    const suppressed = this.#admit(key);
    if (suppressed !== undefined) this.#log.error(withCount(fields, suppressed), message);
  }

  /** How many lines were suppressed before this one; undefined if it is suppressed too. */
  #admit(key: string): number | undefined {
    const now = this.#now();
    const before = this.#written.get(key);
    if (before !== undefined && now - before.at < INTERVAL) {
      before.suppressed++;
      return undefined;
    }
    this.#written.delete(key);
    this.#written.set(key, { at: now, suppressed: 0 });
    if (this.#written.size > MOST_KEYS) {
      for (const longestAgo of this.#written.keys()) {
        this.#written.delete(longestAgo);
        break;
      }
    }
    return before?.suppressed ?? 0;
  }
}

function withCount(fields: object, suppressed: number): object {
  return suppressed === 0 ? fields : { ...fields, suppressed };
}
