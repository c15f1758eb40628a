import { describe, expect, test } from 'bun:test';
import { DEFAULT_SCOPES, normaliseScopes } from './tokens.ts';

const READ = 'https://www.googleapis.com/auth/devstorage.read_only';
const PUBSUB = 'https://www.googleapis.com/auth/pubsub';

describe('normaliseScopes', () => {
  test.each(['', ',', ' , \t\n'])('gives the default for %j', (list) => {
    expect(normaliseScopes(list)).toBe(DEFAULT_SCOPES);
  });

  test.each([`${READ},${PUBSUB}`, `${PUBSUB} ${READ}`, ` ${PUBSUB},\t${READ} , ${PUBSUB}\n`])(
    'spells %j as every list that means the same',
    (list) => {
      expect(normaliseScopes(list)).toBe(`${READ} ${PUBSUB}`);
    },
  );

  test('spells the default out in its own order', () => {
    const reversed = DEFAULT_SCOPES.split(' ').reverse().join(',');
    expect(normaliseScopes(reversed)).toBe(DEFAULT_SCOPES);
  });

  test.each([
    ['a quote', 'a"b'],
    ['a backslash', 'a\\b'],
    ['a control character', 'a\u0000b'],
    ['what is not ASCII', 'schön'],
    ['too long a scope', 'x'.repeat(257)],
    ['too many scopes', Array.from({ length: 33 }, (_, index) => `s${index}`).join(' ')],
    ['too long a list', `${'x,'.repeat(2048)}x`],
  ])('refuses %s', (_, list) => {
    expect(normaliseScopes(list)).toBeUndefined();
  });
});
