import { expect, test } from 'bun:test';
import { RepeatLimit } from './repeat-limit.ts';

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
