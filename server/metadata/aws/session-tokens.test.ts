import { expect, test } from 'bun:test';
import { SessionTokens } from './session-tokens.ts';

const KEY = new Uint8Array(32).fill(7);
const UID = '5e4c9d0a-6f0e-4d0b-9f6b-2f6a3f0d9c11';

function at(start: number, key = KEY) {
  const time = { now: start };
  return { time, tokens: new SessionTokens(key, () => time.now) };
}

test('a token is valid for its caller until it expires', () => {
  const { time, tokens } = at(1_800_000_000_000);
  const token = tokens.issue(UID, 60);
  expect(token).toMatch(/^[\w-]{54}$/);
  expect(tokens.expiryOf(token, UID)).toBe(1_800_000_060_000);
  time.now += 59_999;
  expect(tokens.expiryOf(token, UID)).toBe(1_800_000_060_000);
  time.now += 1;
  expect(tokens.expiryOf(token, UID)).toBeUndefined();
});

test('a server with the same key honours it, and no other', () => {
  const now = 1_800_000_000_000;
  const token = at(now).tokens.issue(UID, 60);
  expect(at(now).tokens.expiryOf(token, UID)).toBe(now + 60_000);
  expect(at(now, new Uint8Array(32)).tokens.expiryOf(token, UID)).toBeUndefined();
});

test('a token of another caller, a changed one and anything else is none', () => {
  const { tokens } = at(1_800_000_000_000);
  const token = tokens.issue(UID, 60);
  expect(tokens.expiryOf(token, `${UID.slice(0, -1)}2`)).toBeUndefined();
  const later = Buffer.from(token, 'base64url');
  later[7] = (later[7] ?? 0) ^ 0xff; // the expiry
  for (const other of [
    later.toString('base64url'),
    '',
    'x',
    `${token}A`,
    token.slice(1),
    'A'.repeat(1_000_000),
  ]) {
    expect(tokens.expiryOf(other, UID)).toBeUndefined();
  }
});
