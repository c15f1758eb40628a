import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Secret } from '../core/secret.ts';
import { ExchangeLimits } from '../credentials/exchange-limits.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RoleCredentials } from './role-credentials.ts';

const MINUTE = 60_000;
const ROLE = 'arn:aws:iam::111122223333:role/app';
const POD: Caller = {
  serviceAccount: {
    namespace: 'ns',
    name: 'app',
    uid: 'sa-uid',
    annotations: { 'eks.amazonaws.com/role-arn': ROLE },
  },
  boundTo: { kind: 'Pod', name: 'pod', uid: 'pod-uid' },
};

function setUp(sessionSeconds: number) {
  const clock = new ManualClock();
  let sessions = 0;
  const response = (seconds: number) => `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>ASIA${++sessions}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
    <SessionToken>token</SessionToken><Expiration>${new Date(clock.now() + seconds * 1000).toISOString()}</Expiration>
    </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  const events = { exchanged: () => {}, exchangeThrottled: () => {}, cacheLookedUp: () => {} };
  const credentials = new RoleCredentials(
    {
      aws: {
        sts: { url: 'https://sts.test', region: 'eu-central-1' },
        region: 'eu-central-1',
        audience: 'sts.amazonaws.com',
        accountID: undefined,
        partition: 'aws',
        podIdentityAudience: 'pods.eks.amazonaws.com',
        sessionSeconds,
        allowVersion1: false,
      },
      cacheTokens: true,
      cacheTokensPerPod: false,
    },
    {
      kubernetes: {
        createToken: async () => ({ token: new Secret('kubernetes'), expiresAt: clock.now() + 10 * MINUTE }),
      },
      effects: {
        now: clock.now,
        sleep: clock.sleep,
        random: () => 0.5,
        fetch: async (_url, init) => {
          const form = new URLSearchParams(String(init?.body));
          return new Response(response(Number(form.get('DurationSeconds'))));
        },
      },
      events,
      limits: new ExchangeLimits({ podExchangesPerMinute: 60, nodeExchangesPerMinute: 600 }, clock, events),
      log: { debug: () => {}, warn: () => {}, error: () => {} },
      refused: () => {},
      googleIDToken: async () => ({ token: new Secret('google') }),
    },
  );
  return { clock, credentials };
}

describe('what is handed out', () => {
  // botocore keeps what has less than 10 to 20 minutes left for up to 10 minutes more before it asks again
  test.each([
    ['15 minutes', 900, 10],
    ['20 minutes', 1200, 10],
    ['half an hour', 1800, 20],
    ['an hour', 3600, 20],
    ['12 hours', 43_200, 20],
  ])('of sessions of %s lasts until botocore asks again', async (_name, sessionSeconds, minutes) => {
    const { clock, credentials } = setUp(sessionSeconds);
    const end = clock.now() + 2 * sessionSeconds * 1000;
    const seen = new Set<string>();
    let shortest = Number.POSITIVE_INFINITY;
    while (clock.now() < end) {
      const found = await credentials.of(POD);
      seen.add(found.accessKeyID);
      shortest = Math.min(shortest, found.expiresAt - clock.now());
      await clock.advance(MINUTE / 2);
    }
    expect(shortest).toBeGreaterThanOrEqual(minutes * MINUTE);
    // it is cached all the same
    expect(seen.size).toBeLessThanOrEqual(2 * (sessionSeconds / (4 * 60)) + 1);
  });
});
