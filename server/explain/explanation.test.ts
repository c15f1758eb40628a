import { expect, test } from 'bun:test';
import { explanationText } from './explanation.ts';

test('is aligned, a remedy below its step and only once, and nothing in it steers a terminal', () => {
  const remedy = 'do this\nor\u001b[2J that';
  const text = explanationText({
    pod: 'ns/app',
    node: 'node',
    ok: false,
    steps: [
      { step: 'pod', outcome: 'ok', summary: 'UID 1' },
      {
        step: 'access-token',
        outcome: 'failed',
        summary: 'denied\rok',
        code: 'iam-permission-denied',
        remedy,
      },
      { step: 'id-token', outcome: 'failed', summary: 'denied', code: 'iam-permission-denied', remedy },
      { step: 'sts', outcome: 'not-reached', summary: 'needs \u202ePod' },
    ],
  });
  expect(text).toBe(`Pod ns/app, asked of the server of Node node

ok           Pod             UID 1
failed       access token    denied?ok
                             → do this
                               or?[2J that
failed       ID token        denied
not reached  STS             needs ?Pod

Failed: access token, ID token.
`);
});
