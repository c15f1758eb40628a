import { expect, test } from 'bun:test';
import { parseExpression } from './guard-expression.ts';
import { guardsIn } from './guards.ts';

const field = (path: string) => ({ kind: 'field', path }) as const;

test('an expression is read as cue reads it', () => {
  expect(parseExpression('!a.b || len(c) > 3 && d != _|_')).toEqual({
    kind: 'call',
    name: '||',
    of: [
      { kind: 'call', name: '!', of: [field('a.b')] },
      {
        kind: 'call',
        name: '&&',
        of: [
          {
            kind: 'call',
            name: '>',
            of: [
              { kind: 'call', name: 'len', of: [field('c')] },
              { kind: 'literal', value: 3 },
            ],
          },
          { kind: 'call', name: '!=', of: [field('d'), { kind: 'bottom' }] },
        ],
      },
    ],
  });
  expect(parseExpression('"a \\(b) \\(len(c)) \\"d\\""')).toEqual({
    kind: 'text',
    parts: ['a ', field('b'), ' ', { kind: 'call', name: 'len', of: [field('c')] }, ' "d"'],
  });
  expect(() => parseExpression('a * b')).toThrow('what is * b?');
});

test('a guard has the conditions around it, and the names that are known there', () => {
  const [outer, inner] = guardsIn(
    [
      'let most = 3',
      'if a {',
      '\tlet b = c',
      '\tif b > most {',
      '\t\tx: error("too much")',
      '\t}',
      '\ty: error("no")',
      '}',
    ].join('\n'),
    'test.cue',
  );
  expect(outer?.when).toEqual([field('a'), { kind: 'call', name: '>', of: [field('b'), field('most')] }]);
  expect([...(outer?.names ?? [])]).toEqual([
    ['most', { kind: 'literal', value: 3 }],
    ['b', field('c')],
  ]);
  expect(inner?.when).toEqual([field('a')]);
});

test('of alternatives only the first counts', () => {
  const guards = guardsIn(
    ['reference: [', 'if a {error("a")},', 'if b {"fine"},', 'if c {error("c")},', '][0]'].join('\n'),
    'test.cue',
  );
  const not = (path: string) => ({ kind: 'call', name: '!', of: [field(path)] });
  expect(guards).toMatchObject([{ when: [field('a')] }, { when: [not('a'), not('b'), field('c')] }]);
});

test('an error that is no guard of these kinds fails', () => {
  expect(() => guardsIn('for x in y {z: error("x")}', 'test.cue')).toThrow(
    'test.cue: no guard that Helm can have',
  );
});
