import { expect, test } from 'bun:test';
import { AccessTokens } from './principals.ts';

const principal = { kind: 'service-account', member: 'serviceAccount:a', memberOf: [] } as const;

test('expired tokens are forgotten as new ones are issued', () => {
  let now = 0;
  const tokens = new AccessTokens(() => now);
  for (const expiresAt of [1000, 2000, 9000]) tokens.issue({ principal, scopes: [], expiresAt });
  now = 2000;
  tokens.issue({ principal, scopes: [], expiresAt: 9000 });
  expect(tokens.size).toBe(2);
});

test('never holds more than 10,000, the oldest forgotten first', () => {
  const tokens = new AccessTokens(() => 0);
  const issue = () => tokens.issue({ principal, scopes: [], expiresAt: 1000 });
  const [first, second] = [issue(), issue()];
  for (let i = 0; i < 9_999; i += 1) issue();
  expect([tokens.size, tokens.find(first), tokens.find(second)?.expiresAt]).toEqual([
    10_000,
    undefined,
    1000,
  ]);
});
