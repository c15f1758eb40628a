import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { XMLParser } from 'fast-xml-parser';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { StandInAws } from '../stand-in-aws.ts';

const NOW = Date.parse('2026-03-04T05:06:07Z');
const SECONDS = NOW / 1000;
const ISSUER = 'https://cluster.example/id/1';
const ACCOUNT = '123456789012';
const PROVIDER = `arn:aws:iam::${ACCOUNT}:oidc-provider/cluster.example/id/1`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role/team/robot`;
const GOOGLE_ROLE = `arn:aws:iam::${ACCOUNT}:role/google`;
const SUBJECT = 'system:serviceaccount:ns:robot';
const ACTION = 'sts:AssumeRoleWithWebIdentity';

let aws: StandInAws;
let key: Key;

interface Key {
  readonly pair: CryptoKeyPair;
  readonly kid: string;
}

async function newKey(): Promise<Key> {
  const pair = await generateKeyPair('RS256');
  return { pair, kid: await calculateJwkThumbprint(pair.publicKey) };
}

async function jwksOf({ pair, kid }: Key) {
  return { keys: [{ ...(await exportJWK(pair.publicKey)), kid, use: 'sig', alg: 'RS256' }] };
}

beforeAll(async () => {
  key = await newKey();
  aws = await new StandInAws({ effects: { now: () => NOW, sleep: () => Promise.resolve() } }).start();
});
beforeEach(async () => {
  aws.issuers.publish(ISSUER, await jwksOf(key));
  aws.issuers.publish('https://accounts.google.com', await jwksOf(key));
  aws.iam.putOpenIDConnectProvider({ accountID: ACCOUNT, url: ISSUER, clientIDs: ['sts.amazonaws.com'] });
  trust(ROLE, PROVIDER, {
    'cluster.example/id/1:sub': SUBJECT,
    'cluster.example/id/1:aud': 'sts.amazonaws.com',
  });
  trust(GOOGLE_ROLE, 'accounts.google.com', { 'accounts.google.com:sub': '1000' });
});
afterAll(() => aws.stop());

function trust(arn: string, Federated: string, StringEquals: Record<string, string>): void {
  aws.iam.putRole({
    arn,
    trustPolicy: {
      Statement: { Effect: 'Allow', Principal: { Federated }, Action: ACTION, Condition: { StringEquals } },
    },
  });
}

const CLAIMS: JWTPayload = {
  iss: ISSUER,
  sub: SUBJECT,
  aud: ['sts.amazonaws.com'],
  iat: SECONDS - 10,
  exp: SECONDS + 600,
};
const GOOGLE_CLAIMS: JWTPayload = {
  ...CLAIMS,
  iss: 'https://accounts.google.com',
  sub: '1000',
  azp: '1000',
  aud: 'any',
};

function sign(claims: JWTPayload, { pair, kid } = key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(pair.privateKey);
}

const FORM = {
  Action: 'AssumeRoleWithWebIdentity',
  Version: '2011-06-15',
  RoleArn: ROLE,
  RoleSessionName: 'session',
};

interface Result {
  readonly Credentials: { readonly AccessKeyId: string };
  readonly Provider: string;
  readonly Audience: string;
}

async function assume(form: Record<string, string | undefined>, by: 'POST' | 'GET' = 'POST') {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...FORM, ...form })) {
    if (value !== undefined) parameters.set(name, value);
  }
  const response = await (by === 'GET'
    ? fetch(`${aws.url}/?${parameters}`)
    : fetch(aws.url, { method: 'POST', body: parameters }));
  const document = new XMLParser({ parseTagValue: false }).parse(await response.text());
  const error = document.ErrorResponse?.Error;
  return {
    status: response.status,
    error: error === undefined ? undefined : [error.Code, error.Message],
    // what the tests then check
    result: document.AssumeRoleWithWebIdentityResponse?.AssumeRoleWithWebIdentityResult as Result,
  };
}

async function refusalOf(claims: JWTPayload, form: Record<string, string> = {}, signer = key) {
  const { status, error } = await assume({ WebIdentityToken: await sign(claims, signer), ...form });
  return [status, ...(error ?? [])];
}

test.each(['POST', 'GET'] as const)(
  'a token of the cluster becomes credentials of the role, by %s',
  async (by) => {
    const { status, result } = await assume({ WebIdentityToken: await sign(CLAIMS) }, by);
    expect<unknown>([status, result]).toEqual([
      200,
      {
        SubjectFromWebIdentityToken: SUBJECT,
        Audience: 'sts.amazonaws.com',
        AssumedRoleUser: {
          AssumedRoleId: expect.stringMatching(/^AROA\w{17}:session$/),
          Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/robot/session`,
        },
        Credentials: {
          AccessKeyId: expect.stringMatching(/^ASIA[A-Z2-7]{16}$/),
          SecretAccessKey: expect.stringMatching(/^.{40}$/),
          SessionToken: expect.stringMatching(/^.{600,}$/),
          Expiration: '2026-03-04T06:06:07Z',
        },
        Provider: PROVIDER,
      },
    ]);
    expect(aws.describe(result.Credentials.AccessKeyId)).toEqual({
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/robot/session`,
      expiresAt: NOW + 3_600_000,
    });
  },
);

test.each([
  ['900', undefined, '2026-03-04T05:21:07Z'],
  ['43200', 43_200, '2026-03-04T17:06:07Z'],
])('DurationSeconds %s', async (DurationSeconds, maxSessionDuration, Expiration) => {
  const trustPolicy = {
    Statement: { Effect: 'Allow', Principal: { Federated: PROVIDER }, Action: ACTION },
  } as const;
  aws.iam.putRole({
    arn: ROLE,
    trustPolicy,
    ...(maxSessionDuration !== undefined && { maxSessionDuration }),
  });
  const { result } = await assume({ WebIdentityToken: await sign(CLAIMS), DurationSeconds });
  expect<unknown>(result.Credentials).toMatchObject({ Expiration });
});

test.each<[string, JWTPayload, string]>([
  ['azp', { 'accounts.google.com:aud': '1000' }, '1000'],
  ['aud beside azp', { 'accounts.google.com:oaud': 'any' }, '1000'],
])('Google needs no provider: a condition on %s', async (_, conditions, audience) => {
  trust(GOOGLE_ROLE, 'accounts.google.com', conditions as Record<string, string>);
  const { result } = await assume({ RoleArn: GOOGLE_ROLE, WebIdentityToken: await sign(GOOGLE_CLAIMS) });
  expect([result.Provider, result.Audience]).toEqual(['accounts.google.com', audience]);
});

test('without azp, aud is what Google’s condition on aud means, and there is no oaud', async () => {
  const { azp: _, ...claims } = GOOGLE_CLAIMS;
  const WebIdentityToken = await sign(claims);
  trust(GOOGLE_ROLE, 'accounts.google.com', { 'accounts.google.com:aud': 'any' });
  expect((await assume({ RoleArn: GOOGLE_ROLE, WebIdentityToken })).status).toBe(200);
  trust(GOOGLE_ROLE, 'accounts.google.com', { 'accounts.google.com:oaud': 'any' });
  expect((await assume({ RoleArn: GOOGLE_ROLE, WebIdentityToken })).status).toBe(403);
});

const DENIED = [403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity'];

test.each([
  ['Google, with its aud as the audience', { 'accounts.google.com:aud': 'any' }],
  ['Google, another account', { 'accounts.google.com:sub': '2000' }],
])('refuses %s', async (_, conditions) => {
  trust(GOOGLE_ROLE, 'accounts.google.com', conditions as Record<string, string>);
  expect(await refusalOf(GOOGLE_CLAIMS, { RoleArn: GOOGLE_ROLE })).toEqual(DENIED);
});

test.each<[string, JWTPayload, string, string]>([
  [
    'of an issuer without a provider',
    { iss: 'https://evil.example' },
    'InvalidIdentityToken',
    'No OpenIDConnect provider found in your account for https://evil.example',
  ],
  [
    'whose issuer ends with a slash',
    { iss: `${ISSUER}/` },
    'InvalidIdentityToken',
    `No OpenIDConnect provider found in your account for ${ISSUER}/`,
  ],
  [
    'for another audience',
    { aud: ['https://kubernetes.default.svc'] },
    'InvalidIdentityToken',
    'Incorrect token audience',
  ],
  ['without an audience', { aud: [] }, 'InvalidIdentityToken', 'Missing a required claim: aud'],
  ['without a subject', { sub: '' }, 'InvalidIdentityToken', 'Missing a required claim: sub'],
  [
    'that has expired',
    { exp: SECONDS },
    'ExpiredTokenException',
    `Token expired: current date/time ${SECONDS} must be before the expiration date/time${SECONDS}`,
  ],
  [
    'from the future',
    { iat: SECONDS + 301 },
    'InvalidIdentityToken',
    'The web identity token that was passed could not be validated by AWS.',
  ],
])('refuses a token %s', async (_, claims, code, message) => {
  expect(await refusalOf({ ...CLAIMS, ...claims })).toEqual([400, code, message]);
});

test.each([
  ['the subject of another ServiceAccount', { sub: 'system:serviceaccount:ns:other' }, ROLE],
  ['a role that does not exist', {}, `arn:aws:iam::${ACCOUNT}:role/absent`],
  ['a role that trusts another provider', {}, GOOGLE_ROLE],
])('refuses %s, in the same words', async (_, claims, RoleArn) => {
  expect(await refusalOf({ ...CLAIMS, ...claims }, { RoleArn })).toEqual(DENIED);
});

test('a provider belongs to the account of the role', async () => {
  const RoleArn = 'arn:aws:iam::210987654321:role/robot';
  expect(await refusalOf(CLAIMS, { RoleArn })).toEqual([
    400,
    'InvalidIdentityToken',
    `No OpenIDConnect provider found in your account for ${ISSUER}`,
  ]);
});

const NO_KEY =
  "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity " +
  'documentation for requirements';
const NOT_VALIDATED = 'The web identity token that was passed could not be validated by AWS.';

test('refuses a token signed by a key that the issuer does not publish, and a forged one', async () => {
  const other = await newKey();
  expect(await refusalOf(CLAIMS, {}, other)).toEqual([400, 'InvalidIdentityToken', NO_KEY]);
  expect(await refusalOf(CLAIMS, {}, { ...other, kid: key.kid })).toEqual([
    400,
    'InvalidIdentityToken',
    NOT_VALIDATED,
  ]);
  const [header, , signature] = (await sign(CLAIMS)).split('.');
  const payload = Buffer.from(JSON.stringify({ ...CLAIMS, aud: 'sts.amazonaws.com' })).toString('base64url');
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
  for (const WebIdentityToken of [`${header}.${payload}.${signature}`, `${unsigned}.${payload}.`]) {
    expect((await assume({ WebIdentityToken })).error).toEqual(['InvalidIdentityToken', NOT_VALIDATED]);
  }
});

test('a token is not a JWT', async () => {
  const { status, error } = await assume({ WebIdentityToken: 'ya29.c.access-token' });
  expect([status, error?.[0]]).toEqual([400, 'InvalidIdentityToken']);
  expect(error?.[1]).toMatch(/^The ID Token provided is not a valid JWT/);
});

test('the keys of an issuer that nobody has published, or that does not respond', async () => {
  const url = 'https://private.example';
  aws.iam.putOpenIDConnectProvider({ accountID: ACCOUNT, url, clientIDs: ['sts.amazonaws.com'] });
  expect(await refusalOf({ ...CLAIMS, iss: url })).toEqual([400, 'InvalidIdentityToken', NO_KEY]);
  // a port that refuses connections
  aws.issuers.publish(url, new URL('http://127.0.0.1:1/jwks'));
  expect(await refusalOf({ ...CLAIMS, iss: url })).toEqual([
    400,
    'IDPCommunicationError',
    'The identity provider could not be reached to verify the incoming identity token.',
  ]);
});

test.each<[Record<string, string | undefined>, string]>([
  [{ RoleArn: undefined }, "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"],
  [
    { RoleSessionName: undefined },
    "Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null",
  ],
  [
    { RoleSessionName: 'a' },
    "Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2",
  ],
  [
    { RoleSessionName: 'n'.repeat(65) },
    `Value '${'n'.repeat(65)}' at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64`,
  ],
  [
    { RoleSessionName: 'ns/pod' },
    "Value 'ns/pod' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*",
  ],
  [
    { DurationSeconds: '899' },
    "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
  ],
  [
    { DurationSeconds: '43201' },
    "Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200",
  ],
  [
    { WebIdentityToken: undefined },
    "Value null at 'webIdentityToken' failed to satisfy constraint: Member must not be null",
  ],
  [
    { WebIdentityToken: 't'.repeat(20_001) },
    "Value at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000",
  ],
])('%j is a ValidationError', async (form, failure) => {
  const { status, error } = await assume({ WebIdentityToken: 'any.thing.else', ...form });
  expect([status, error]).toEqual([400, ['ValidationError', `1 validation error detected: ${failure}`]]);
});

test('all constraints are reported at once', async () => {
  const { error } = await assume({ RoleArn: undefined, DurationSeconds: '1' });
  expect(error?.[1]).toMatch(/^3 validation errors detected: .*; .*; /);
});

test.each([
  [{ RoleArn: `arn:aws:iam::${ACCOUNT}:user/somebody` }, 'ValidationError', 'Request ARN is invalid'],
  [
    { DurationSeconds: '3601' },
    'ValidationError',
    'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
  ],
  [{ Policy: '{' }, 'MalformedPolicyDocument', 'This policy contains invalid Json'],
  [
    { Action: 'GetSessionToken' },
    'InvalidAction',
    'Could not find operation GetSessionToken for version 2011-06-15',
  ],
  [
    { Version: undefined },
    'InvalidAction',
    'Could not find operation AssumeRoleWithWebIdentity for version NO_VERSION_SPECIFIED',
  ],
  [{ Action: undefined }, 'MissingAction', 'The request must contain the parameter Action'],
])('refuses %j', async (form, code, message) => {
  const { status, error } = await assume({ WebIdentityToken: await sign(CLAIMS), ...form });
  expect([status, error]).toEqual([400, [code, message]]);
});
