import { expect, test } from 'bun:test';
import { formatted, roundStep } from './units.ts';

test.each([
  [0.0523, 'percentunit', '5.23 %'],
  [271.4, 'reqps', '271 req/s'],
  [0.0046, 's', '4.6 ms'],
  [90, 's', '1.5 min'],
  [31_536_000, 's', '365 d'],
  [0, 's', '0 s'],
  [98_000_000, 'bytes', '93.5 MiB'],
  [1234, 'none', '1,230'],
])('%p in %s is %s', (value, unit, text) => {
  expect(formatted(value, unit)).toBe(text);
});

test.each([
  [387, 'reqps', 100],
  [0.97, 'percentunit', 0.25],
  [364 * 86_400, 's', 100 * 86_400],
  [250, 's', 120],
  [98 * 1024 ** 2, 'bytes', 25 * 1024 ** 2],
])('a graph up to %p in %s has a line each %p', (most, unit, step) => {
  expect(roundStep(most, unit)).toBeCloseTo(step);
});
