import { expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import type { Log } from './events.ts';
import type { LogFormat, LogLevel } from './log.ts';
import { createLog } from './log.ts';

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

test.each(['json', 'text'] as const)('a secret is redacted wherever it stands, in %s', (format) => {
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
