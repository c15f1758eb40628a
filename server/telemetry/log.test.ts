import { expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import { createLog, type Log, type LogFormat, type LogLevel, RepeatLimit } from './log.ts';

function written(level: LogLevel, format: LogFormat, write: (log: Log) => void): string[] {
  const lines: string[] = [];
  write(createLog(level, format, { write: (line) => lines.push(line) }));
  return lines;
}

test('JSON has the level by name, an ISO time and the message', () => {
  const [line = ''] = written('info', 'json', (log) => log.warn({ pods: 3 }, 'listed'));
  const { time, ...entry } = JSON.parse(line);
  expect(entry).toEqual({ level: 'warn', pods: 3, message: 'listed' });
  expect(new Date(time).toISOString()).toBe(time);
});

test('nothing below the level is written', () => {
  const all = (log: Log) => {
    log.debug({}, 'debug');
    log.info({}, 'info');
    log.warn({}, 'warn');
    log.error({}, 'error');
  };
  expect(written('error', 'json', all)).toHaveLength(1);
  expect(written('debug', 'json', all)).toHaveLength(4);
});

test.each(['json', 'text'] as const)('a secret is redacted in every field, in %s', (format) => {
  const token = new Secret('ya29.secret');
  const cause = new Error(`answered with ${token}`);
  const error = new Fault('sts-refused', 'refused', { remedy: 'ask again', cause });
  const output = written('debug', format, (log) => {
    log.info({ token, nested: { list: [token] }, text: `${token}` }, 'held');
    log.error({ error }, 'failed');
  }).join('');
  expect(output).toContain('[redacted]');
  expect(output).toContain('sts-refused');
  expect(output).not.toContain('ya29');
});

test('text is one line an entry, whatever a caller puts into a field', () => {
  const lines = written('info', 'text', (log) =>
    log.info({ path: '/a\n2026 ERROR forged', status: 404 }, 'answered'),
  );
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\S+Z INFO {2}answered path="\/a\\n2026 ERROR forged" status=404\n$/);
});

function setUp() {
  const lines: [string, object][] = [];
  const time = { now: 0 };
  const log = {
    warn: (fields: object, message: string) => lines.push([message, fields]),
    error: (fields: object, message: string) => lines.push([message, fields]),
  };
  return { limit: new RepeatLimit(log, () => time.now), lines, time };
}

test('writes one line of a key in 30 seconds, and says how many it has left out', () => {
  const { limit, lines, time } = setUp();
  for (let count = 0; count < 1000; count++) limit.warn('k', { count }, 'failed');
  expect(lines).toEqual([['failed', { count: 0 }]]);
  time.now = 30_000;
  limit.warn('k', {}, 'failed');
  time.now = 60_000;
  limit.error('k', {}, 'failed');
  expect(lines.slice(1)).toEqual([
    ['failed', { suppressed: 999 }],
    ['failed', {}],
  ]);
});

test('keeps no key from being written by what others write', () => {
  const { limit, lines } = setUp();
  for (let count = 0; count < 1000; count++) limit.warn('loud', {}, 'loud');
  limit.warn('quiet', {}, 'quiet');
  expect(lines.map(([message]) => message)).toEqual(['loud', 'quiet']);
});

test('forgets the key that was written longest ago when there are more than 1024', () => {
  const { limit, lines } = setUp();
  for (let key = 0; key < 1025; key++) limit.warn(`${key}`, {}, 'failed');
  limit.warn('1024', {}, 'failed');
  expect(lines).toHaveLength(1025);
  limit.warn('0', {}, 'failed');
  expect(lines).toHaveLength(1026);
});
