import { describe, expect, test } from 'bun:test';
import { UnsecuredJWT } from 'jose';
import { Secret } from '../core/secret.ts';
import { parseGoogleServiceAccountEmail, parseQuotaProject } from './google-account.ts';
import { IamCredentials } from './iam-credentials.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const BEARER = new Secret('federated');
const ACCOUNT = parseGoogleServiceAccountEmail('reader@project.iam.gserviceaccount.com');
if (ACCOUNT === undefined) throw new Error('not an email');
const account = { account: ACCOUNT, quotaProject: undefined };
const { signal } = new AbortController();

/** A JWT whose `exp` is this JSON. */
function jwtWith(exp: string): string {
  return `${btoa('{"alg":"none"}')}.${btoa(`{"exp":${exp}}`)}.`;
}

function iamThatReturns(answer: Response) {
  const sent: { url: string; init: BunFetchRequestInit | undefined }[] = [];
  const iam = new IamCredentials('https://iam.test', {
    now: () => NOW,
    fetch: async (url, init) => {
      sent.push({ url, init });
      return answer;
    },
  });
  return { iam, sent };
}

describe('generateAccessToken', () => {
  const generate = (answer: Response) => {
    const { iam, sent } = iamThatReturns(answer);
    const outcome = iam
      .generateAccessToken(BEARER, account, ['a', 'b'], 3600, signal)
      .catch((error: unknown) => error);
    return { outcome, sent };
  };

  test('asks for scopes and lifetime on behalf of the bearer', async () => {
    const { outcome, sent } = generate(
      Response.json({ accessToken: 'ya29', expireTime: '2026-01-01T00:59:59Z' }),
    );
    expect(await outcome).toEqual({ token: new Secret('ya29'), expiresAt: NOW + 3_599_000 });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.url).toBe(
      'https://iam.test/v1/projects/-/serviceAccounts/reader@project.iam.gserviceaccount.com:generateAccessToken',
    );
    expect(sent[0]?.init).toMatchObject({
      method: 'POST',
      headers: { authorization: 'Bearer federated', 'content-type': 'application/json' },
    });
    expect(JSON.parse(String(sent[0]?.init?.body))).toEqual({ scope: ['a', 'b'], lifetime: '3600s' });
  });

  test('is counted against the quota project, if there is one', async () => {
    const headers = async (quotaProject: string) => {
      const { iam, sent } = iamThatReturns(Response.json({}));
      const impersonation = { ...account, quotaProject: parseQuotaProject(quotaProject) };
      await iam.generateAccessToken(BEARER, impersonation, ['a'], 3600, signal).catch(() => {});
      await iam.generateIdToken(BEARER, impersonation, 'a', signal).catch(() => {});
      return sent.map(({ init }) => new Headers(init?.headers).get('x-goog-user-project'));
    };
    expect(await headers('')).toEqual([null, null]);
    expect(await headers('quota-project')).toEqual(['quota-project', 'quota-project']);
  });

  test('that the quota project does not allow has its own remedy', async () => {
    const details = [
      { '@type': 'type.googleapis.com/google.rpc.Help' },
      { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'USER_PROJECT_DENIED' },
    ];
    const { outcome } = generate(Response.json({ error: { message: 'words', details } }, { status: 403 }));
    expect(await outcome).toMatchObject({
      code: 'quota-project-denied',
      remedy: expect.stringContaining('roles/serviceusage.serviceUsageConsumer'),
    });
  });

  test('fails while the API is disabled, which no grant fixes', async () => {
    const message =
      'IAM Service Account Credentials API has not been used in project 123456789012 before or it is disabled.';
    const details = [
      { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' },
      { '@type': 'type.googleapis.com/google.rpc.LocalizedMessage' },
    ];
    const { outcome } = generate(Response.json({ error: { message, details } }, { status: 403 }));
    expect(await outcome).toMatchObject({
      code: 'google-api-disabled',
      googleMessage: message,
      remedy: expect.stringContaining('gcloud services enable'),
    });
  });

  test('never expires later than requested, whatever the clocks say', async () => {
    const { outcome } = generate(Response.json({ accessToken: 'ya29', expireTime: '2026-01-01T01:20:00Z' }));
    expect(await outcome).toMatchObject({ expiresAt: NOW + 3_600_000 });
  });

  test.each([
    [403, 'iam-permission-denied'],
    [404, 'google-account-missing'],
    [400, 'iam-refused'],
    [401, 'iam-refused'],
    [429, 'google-unavailable'],
    [503, 'google-unavailable'],
  ] as const)('%p is %s', async (status, code) => {
    const { outcome } = generate(Response.json({ error: { message: 'words' } }, { status }));
    expect(await outcome).toMatchObject({ code, status, operation: 'access token', googleMessage: 'words' });
  });

  test.each([
    {},
    { accessToken: 'x' },
    { accessToken: 'x', expireTime: 'later' },
    { accessToken: 'x', expireTime: 3600 },
    { accessToken: 'x', expireTime: '2026-01-01T00:00:00Z' },
    { accessToken: 'x', expireTime: '1969-12-31T23:00:00Z' },
    { accessToken: 'x', expireTime: '9999-12-31T23:00:00Z' },
    { accessToken: '', expireTime: '2026-01-01T00:59:59Z' },
  ])('does not accept %j as a response', async (body) => {
    expect(await generate(Response.json(body)).outcome).toMatchObject({ code: 'google-unavailable' });
  });
});

describe('generateIdToken', () => {
  const generate = (answer: Response) => {
    const { iam, sent } = iamThatReturns(answer);
    const outcome = iam
      .generateIdToken(BEARER, account, 'https://receiver', signal)
      .catch((error: unknown) => error);
    return { outcome, sent };
  };

  test('asks for the audience, email included, and expires when the token says', async () => {
    const token = new UnsecuredJWT({ exp: NOW / 1000 + 3600 }).encode();
    const { outcome, sent } = generate(Response.json({ token }));
    expect(await outcome).toEqual({ token: new Secret(token), expiresAt: NOW + 3_600_000 });
    expect(sent[0]?.url).toEndWith('/reader@project.iam.gserviceaccount.com:generateIdToken');
    expect(JSON.parse(String(sent[0]?.init?.body))).toEqual({
      audience: 'https://receiver',
      includeEmail: true,
    });
  });

  test('never expires later than after an hour, whatever the clocks say', async () => {
    const token = new UnsecuredJWT({ exp: NOW / 1000 + 4800 }).encode();
    expect(await generate(Response.json({ token })).outcome).toMatchObject({ expiresAt: NOW + 3_600_000 });
  });

  test.each([NOW / 1000, NOW / 1000 - 1, 0, -1, NOW, 1e300, 253_402_300_799])(
    'with exp %p is not handed out',
    async (exp) => {
      const token = new UnsecuredJWT({ exp }).encode();
      expect(await generate(Response.json({ token })).outcome).toMatchObject({
        code: 'google-unavailable',
        operation: 'identity token',
        remedy: expect.stringContaining("Node's clock"),
      });
    },
  );

  test('is refused as an identity token', async () => {
    const answer = Response.json({ error: { message: 'denied' } }, { status: 403 });
    expect(await generate(answer).outcome).toMatchObject({
      code: 'iam-permission-denied',
      operation: 'identity token',
    });
  });

  test.each([
    {},
    { token: 'opaque' },
    { token: new UnsecuredJWT({}).encode() },
    { token: jwtWith('"soon"') },
    { token: jwtWith('{}') },
  ])('does not accept %j as a response', async (body) => {
    expect(await generate(Response.json(body)).outcome).toMatchObject({ code: 'google-unavailable' });
  });
});
