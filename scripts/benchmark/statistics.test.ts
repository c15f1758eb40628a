import { expect, test } from 'bun:test';
import { median, percentile, ratioOfPairs } from './statistics.ts';

test('the median is the middle value, or the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 1, 2, 4])).toBe(3);
  expect(() => median([])).toThrow('no values');
});

test('a percentile is the smallest value that so many values do not exceed', () => {
  const oneToHundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect([0, 50, 99, 100].map((percent) => percentile(oneToHundred, percent))).toEqual([1, 50, 99, 100]);
  expect(percentile([7, 3], 50)).toBe(3);
  expect(percentile([10, 9, 2], 99)).toBe(10);
  expect(() => percentile([], 99)).toThrow('no values');
});

test('a ratio compares runs that followed each other', () => {
  // the machine was slow in the second round: a ratio of medians would say 0.45
  expect(ratioOfPairs([90, 45, 90], [100, 50, 200])).toBe(0.9);
  expect(() => ratioOfPairs([1], [1, 2])).toThrow('1 runs against 2');
});
