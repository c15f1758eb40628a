import { describe, expect, test } from 'bun:test';
import { Secret } from '../core/secret.ts';
import { parseRoleArn } from './aws-role.ts';
import { type AwsCredentials, Sts } from './sts.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const role = parseRoleArn('arn:aws:iam::111122223333:role/reader');
if (role === undefined) throw new Error('not an ARN');
const ASSUMED = { role, sessionName: 'shop.cart', durationSeconds: 3600 };
const claims = Buffer.from(
  JSON.stringify({
    iss: 'https://issuer',
    sub: 'system:serviceaccount:shop:cart',
    aud: ['sts.amazonaws.com'],
  }),
).toString('base64url');
const TOKEN = new Secret(`header.${claims}.signature`);

function granted(action: string, expiration = '2026-01-01T01:00:00Z'): Response {
  return new Response(
    `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials>` +
      '<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s&amp;1</SecretAccessKey><SessionToken>001</SessionToken>' +
      `<Expiration>${expiration}</Expiration></Credentials></${action}Result></${action}Response>`,
  );
}

function refused(status: number, code: string, message: string): Response {
  return new Response(
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
    { status },
  );
}

async function assume(response: Response | Error, credentials?: AwsCredentials) {
  const sent: { url: string; headers: Record<string, string>; form: Record<string, string> }[] = [];
  const sts = new Sts(
    { url: 'https://sts.eu-central-1.amazonaws.com', region: 'eu-central-1' },
    {
      now: () => NOW,
      fetch: async (url, init) => {
        const form = Object.fromEntries(new URLSearchParams(String(init?.body)));
        sent.push({ url, headers: Object.fromEntries(new Headers(init?.headers)), form });
        if (response instanceof Error) throw response;
        return response;
      },
    },
  );
  const { signal } = new AbortController();
  const outcome = await (credentials === undefined
    ? sts.assumeRoleWithWebIdentity(ASSUMED, TOKEN, signal)
    : sts.assumeRole(ASSUMED, credentials, signal)
  ).catch((error: unknown) => error);
  return { outcome, sent };
}

describe('AssumeRoleWithWebIdentity', () => {
  test('sends the token unsigned, and reads what must not be changed', async () => {
    const { outcome, sent } = await assume(granted('AssumeRoleWithWebIdentity'));
    expect(sent).toMatchObject([
      {
        url: 'https://sts.eu-central-1.amazonaws.com/',
        form: {
          Action: 'AssumeRoleWithWebIdentity',
          Version: '2011-06-15',
          RoleArn: role,
          RoleSessionName: 'shop.cart',
          DurationSeconds: '3600',
          WebIdentityToken: TOKEN.reveal(),
        },
      },
    ]);
    expect(sent[0]?.headers).not.toHaveProperty('authorization');
    const { secretAccessKey, sessionToken, ...others } = outcome as AwsCredentials;
    expect(others).toEqual({ accessKeyID: 'ASIA1', expiresAt: NOW + 3_600_000, issuedAt: NOW, role });
    // an entity, and digits that are not a number
    expect([secretAccessKey.reveal(), sessionToken.reveal()]).toEqual(['s&1', '001']);
    expect(JSON.stringify(outcome)).not.toContain('s&1');
  });

  test.each([
    [
      'InvalidIdentityToken',
      400,
      'No OpenIDConnect provider found in your account for https://issuer',
      'OIDC provider',
    ],
    ['AccessDenied', 403, 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 'trust policy'],
    ['ExpiredTokenException', 400, 'Token expired', 'clock'],
    ['IDPRejectedClaim', 403, 'no', 'claims'],
    ['SomethingNew', 400, 'no', 'trust policy'],
  ])('%s is a refusal, with role and claims and without the token', async (code, status, message, remedy) => {
    const { outcome } = await assume(refused(status, code, `${message} ${TOKEN.reveal()}`));
    expect(outcome).toMatchObject({
      code: 'aws-sts-refused',
      transient: false,
      error: code,
      message:
        `AWS STS responded ${status} to AssumeRoleWithWebIdentity of ${role}: ${code}: ${message} [redacted] (iss ` +
        'https://issuer, sub system:serviceaccount:shop:cart, aud sts.amazonaws.com)',
      remedy: expect.stringContaining(remedy),
    });
  });

  test.each([
    ['no response', new Error('connection reset')],
    ['IDPCommunicationError', refused(400, 'IDPCommunicationError', 'slow issuer')],
    ['Throttling', refused(400, 'Throttling', 'Rate exceeded')],
    ['500', refused(500, 'InternalFailure', 'x')],
    ['a page of a proxy', new Response('<html><p>', { status: 502 })],
    ['a 200 that is not XML', new Response('{}')],
    ['a 200 of another action', granted('AssumeRole')],
    ['a 200 that has expired', granted('AssumeRoleWithWebIdentity', '2025-01-01T00:00:00Z')],
    ['a 200 without an expiry', granted('AssumeRoleWithWebIdentity', '')],
    [
      'entities without end',
      new Response(`<!DOCTYPE x [<!ENTITY a "${'a'.repeat(1000)}">]><x>${'&a;'.repeat(5000)}</x>`),
    ],
  ])('is unavailable: %s', async (_, response) => {
    expect((await assume(response)).outcome).toMatchObject({ code: 'aws-sts-unavailable', transient: true });
  });
});

test('AssumeRole is signed with the credentials of the first role, for the region', async () => {
  const credentials: AwsCredentials = {
    accessKeyID: 'ASIAFIRST',
    secretAccessKey: new Secret('first-secret'),
    sessionToken: new Secret('first-session'),
    expiresAt: NOW + 900_000,
    issuedAt: NOW,
    role,
  };
  const { outcome, sent } = await assume(granted('AssumeRole'), credentials);
  expect(outcome).toMatchObject({ accessKeyID: 'ASIA1' });
  expect(sent[0]?.form).not.toHaveProperty('WebIdentityToken');
  expect(sent[0]?.headers).toMatchObject({
    authorization: expect.stringMatching(
      /^AWS4-HMAC-SHA256 Credential=ASIAFIRST\/20260101\/eu-central-1\/sts\/aws4_request, SignedHeaders=/,
    ),
    'x-amz-security-token': 'first-session',
  });
  expect(JSON.stringify(sent)).not.toContain('first-secret');
});
