import { expect, test } from 'bun:test';
import { backoff } from './backoff.ts';

test('doubles up to the most, from half to one and a half times that', () => {
  const middle = [1, 2, 3, 6, 7, 100, 2000].map((failures) => backoff(failures, 1000, 30_000, () => 0.5));
  expect(middle).toEqual([1000, 2000, 4000, 30_000, 30_000, 30_000, 30_000]);
  expect(backoff(1, 1000, 30_000, () => 0)).toBe(500);
  expect(backoff(100, 1000, 30_000, () => 0.999)).toBeCloseTo(44_970);
});
