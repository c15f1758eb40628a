import { expect, test } from 'bun:test';
import { amountOf } from './quantity.ts';

test.each<[unknown, number]>([
  ['100m', 0.1],
  ['1', 1],
  ['0.5', 0.5],
  ['.5', 0.5],
  ['64Mi', 67_108_864],
  ['1e3', 1000],
  ['1E3', 1000],
  ['2E', 2e18],
  ['1Gi', 1_073_741_824],
  ['128k', 128_000],
  [2, 2],
])('%j is %d', (quantity, amount) => {
  expect(amountOf(quantity)).toBeCloseTo(amount, 9);
});

test.each<[unknown]>([[''], ['Mi'], ['1 Gi'], ['1MiB'], [null], [{}], ['0x10']])(
  '%j is not a quantity',
  (quantity) => {
    expect(amountOf(quantity)).toBeUndefined();
  },
);
