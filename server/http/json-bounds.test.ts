import { describe, expect, test } from 'bun:test';
import { excessOf } from './json-bounds.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('excessOf', () => {
  test.each<[string, number, number]>([
    ['{}', 1, 1],
    ['[]', 1, 1],
    ['"a"', 0, 0],
    ['{"a":[1,{"b":null}],"c":"d"}', 3, 5],
    // what is in a string is not counted, whatever it is
    ['["[[[{,,,\\"[[,","\\\\",","]', 1, 3],
    ['["\\\\\\"[", 1]', 1, 2],
    // nor what is not JSON judged
    ['[[[', 3, 3],
    ['["', 1, 1],
    ['"\\', 0, 0],
    [']]]]', 0, 0],
  ])('%p has depth %p and %p values', (json, depth, values) => {
    const bytes = encode(json);
    expect(excessOf(bytes, { depth, values })).toBeUndefined();
    if (depth > 0) {
      expect(excessOf(bytes, { depth: depth - 1, values })).toBe(`it is nested deeper than ${depth - 1}`);
    }
    if (values > 0) {
      expect(excessOf(bytes, { depth, values: values - 1 })).toBe(`it has more than ${values - 1} values`);
    }
  });

  test('looks at each byte once, however long a string or however many quotes', () => {
    const bounds = { depth: 2, values: 10 };
    for (const inner of ['x', '\\\\', '\\"']) {
      expect(excessOf(encode(`["${inner.repeat(1_000_000)}"]`), bounds)).toBeUndefined();
    }
    expect(excessOf(encode('""'.repeat(1_000_000)), bounds)).toBeUndefined();
  });
});
