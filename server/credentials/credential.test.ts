import { expect, test } from 'bun:test';
import { expiryOf } from './credential.ts';

const HOUR = 3_600_000;
const ASKED_AT = Date.parse('2026-01-01T00:00:00Z');
const NOW = ASKED_AT + 200;

test('is what the cloud says, and no later than requested', () => {
  expect(expiryOf(ASKED_AT + HOUR / 2, ASKED_AT, NOW, HOUR)).toBe(ASKED_AT + HOUR / 2);
  expect(expiryOf(ASKED_AT + 3 * HOUR, ASKED_AT, NOW, HOUR)).toBe(ASKED_AT + HOUR);
});

test.each([
  ['has passed', NOW],
  ['is long ago', 0],
  ['is before the epoch', -1e15],
  ['is milliseconds read as seconds', NOW * 1000],
  ['is in years', ASKED_AT + 9000 * 24 * HOUR],
  ['is not a number', Number.NaN],
  ['is infinite', Number.POSITIVE_INFINITY],
])('is none if it %s', (_, claimed) => {
  expect(expiryOf(claimed, ASKED_AT, NOW, HOUR)).toBeUndefined();
});
