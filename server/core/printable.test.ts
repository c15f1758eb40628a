import { describe, expect, test } from 'bun:test';
import { escaped, printable } from './printable.ts';

describe('printable', () => {
  test('keeps the first line only', () => {
    expect(printable('\n  first\r\nsecond', 50)).toBe('first');
  });

  test('replaces what a terminal or a log could take for a command', () => {
    expect(printable('a\u001b[31mb\u0000c\u2028d', 50)).toBe('a?[31mb?c?d');
  });

  test('is never longer than its limit, however long the text', () => {
    expect(printable('x'.repeat(1_000_000), 10)).toBe('xxxxxxx...');
  });
});

test.each([
  ['a@b\n', '"a@b\\n"'],
  [' a "b"', '" a \\"b\\""'],
  ['\u001b[2J', '"\\u001b[2J"'],
  ['r\u0435ader', '"r\\u0435ader"'],
  ['x'.repeat(20), `"${'x'.repeat(10)}"...`],
])('escaped shows %j as %s', (text, shown) => {
  expect(escaped(text, 10)).toBe(shown);
});
