import { expect, test } from 'bun:test';
import { Secret } from '../core/secret.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import { TokenResponses } from './token-fast-path.ts';

const token = (value: string, expiresAt: number): ExpiringToken => ({ token: new Secret(value), expiresAt });

test('expires_in is the whole seconds left now, however often it is asked', () => {
  let time = 0;
  const responses = new TokenResponses(3600, () => time);
  const secret = token('ya29.a', 3_599_900);
  const expiresIn = () => JSON.parse(responses.of(secret)?.body ?? '{}').expires_in;

  expect(expiresIn()).toBe(3599);
  expect(expiresIn()).toBe(3599);
  time = 1000;
  expect(expiresIn()).toBe(3598);
  time = 3_598_900;
  expect(expiresIn()).toBe(1);
});

test('it is at most the longest configured duration', () => {
  expect(new TokenResponses(600, () => 0).of(token('ya29.a', 3_600_000))?.body).toBe(
    '{"access_token":"ya29.a","expires_in":600,"token_type":"Bearer"}',
  );
});

test('it is never 0 or less', () => {
  const responses = new TokenResponses(3600, () => 1000);
  expect([999, 1000, 1999, 0].map((expiresAt) => responses.of(token('ya29.a', expiresAt)))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('the ETag is of the token, not of the time left, and does not hold it', () => {
  let time = 0;
  const responses = new TokenResponses(3600, () => time);
  const secret = token('ya29.a', 3_600_000);
  const etag = responses.of(secret)?.etag;
  time = 60_000;
  expect(responses.of(secret)?.etag).toBe(etag);
  expect(responses.of(token('ya29.b', 3_600_000))?.etag).not.toBe(etag);
  expect(etag).toMatch(/^[0-9a-f]{16}$/);
});
