import { expect, test } from 'bun:test';
import { Places } from './places.ts';

const granted = (places: Places, holder: string) => places.take(holder) !== undefined;

test('one holder may have so many, and gets one back for each it leaves', () => {
  const places = new Places(2, 10);
  const leave = places.take('a');
  expect([granted(places, 'a'), granted(places, 'a'), places.taken]).toEqual([true, false, 2]);
  leave?.();
  expect([granted(places, 'a'), granted(places, 'a'), places.taken]).toEqual([true, false, 2]);
});

test('when all are taken, those who hold one wait, and who holds none does not', () => {
  const places = new Places(8, 16);
  for (const greedy of ['a', 'b']) for (let place = 0; place < 8; place++) places.take(greedy);
  expect(granted(places, 'a')).toBe(false);
  expect([granted(places, 'modest'), granted(places, 'modest')]).toEqual([true, false]);
});

test('nothing is left of those who have gone', () => {
  const places = new Places(2, 4);
  const leaves = ['a', 'a', 'b'].map((holder) => places.take(holder));
  for (const leave of leaves) leave?.();
  expect(places.taken).toBe(0);
  expect(granted(places, 'a')).toBe(true);
});
