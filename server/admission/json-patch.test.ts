import { describe, expect, test } from 'bun:test';
import { type Json, jsonPatch } from './json-patch.ts';
import { applyJsonPatch } from './testdata/apply-json-patch.ts';

describe('jsonPatch', () => {
  test.each<[string, Json, Json, unknown]>([
    ['nothing for equals', { a: [1, { b: null }] }, { a: [1, { b: null }] }, []],
    ['a value', { a: 1, b: 2 }, { a: 1, b: 3 }, [{ op: 'replace', path: '/b', value: 3 }]],
    ['a missing parent, whole', {}, { a: { b: [1] } }, [{ op: 'add', path: '/a', value: { b: [1] } }]],
    ['escaped keys', { 'x/y~z': 1, k: 1 }, { k: 1 }, [{ op: 'remove', path: '/x~1y~0z' }]],
    [
      'one element in front of a list of the named',
      { l: [{ name: 'a', v: 1 }, { name: 'b' }] },
      { l: [{ name: 'new' }, { name: 'a', v: 2 }, { name: 'b' }] },
      [
        { op: 'add', path: '/l/0', value: { name: 'new' } },
        { op: 'replace', path: '/l/1/v', value: 2 },
      ],
    ],
    [
      'one hostname of a hostAlias',
      [{ ip: '1.1.1.1', hostnames: ['a'] }],
      [{ ip: '1.1.1.1', hostnames: ['a', 'b'] }],
      [{ op: 'add', path: '/0/hostnames/1', value: 'b' }],
    ],
    [
      'removals, each at its index then',
      [1, 2, 3, 4],
      [2],
      [0, 1, 1].map((at) => ({ op: 'remove', path: `/${at}` })),
    ],
    ['a change of type', { a: [] }, { a: {} }, [{ op: 'replace', path: '/a', value: {} }]],
    ['null as a value', { a: null }, { a: 1 }, [{ op: 'replace', path: '/a', value: 1 }]],
    ['the root', 1, 2, [{ op: 'replace', path: '', value: 2 }]],
  ])('is %s', (_, before, after, expected) => {
    expect<unknown>(jsonPatch(before, after)).toEqual(expected);
    expect(applyJsonPatch(before, jsonPatch(before, after))).toEqual(after);
  });

  test('makes the one of the other for any two documents', () => {
    const random = seeded(20_260_101);
    for (let round = 0; round < 3000; round++) {
      const [before, after] = [anyJson(random, 4), anyJson(random, 4)];
      expect(applyJsonPatch(before, jsonPatch(before, after))).toEqual(after);
    }
  });
});

/** mulberry32: the same documents at every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function anyJson(random: (below: number) => number, depth: number): Json {
  const kind = random(depth > 0 ? 6 : 3);
  if (kind === 0) return [null, true, 1, 'a'][random(4)] ?? null;
  if (kind < 3) return random(3);
  const children = Array.from({ length: random(5) }, () => anyJson(random, depth - 1));
  if (kind === 3) return children;
  const keys = ['name', 'ip', 'a', 'b/c', '~'];
  return Object.fromEntries(
    children.map((child, index) => {
      const key = keys[(index + random(2)) % keys.length] ?? '';
      return [key, key === 'name' ? `n${random(3)}` : child];
    }),
  );
}
