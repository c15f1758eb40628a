import { expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { Secret } from './secret.ts';

test('a secret shows itself to reveal() only', () => {
  const secret = new Secret('ya29.value');
  const printed = [
    String(secret),
    `${secret}`,
    // biome-ignore lint/style/useTemplate: concatenation is a way of its own to print it
    'token ' + secret,
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 5 }),
    Bun.inspect({ secret }),
    Object.values(secret).join(),
    new Error(`refused ${secret}`).message,
  ].join('\n');
  expect(printed).not.toContain('ya29');
  expect(printed).toContain('[redacted]');
  expect(secret.reveal()).toBe('ya29.value');
});
