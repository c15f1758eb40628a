import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { XMLParser } from 'fast-xml-parser';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { StandInAws } from './stand-in-aws.ts';

const START = Date.parse('2026-03-04T05:06:07Z');
const ISSUER = 'https://cluster.example';
const ACCOUNT = '123456789012';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/robot`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/robot/session`;

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

let aws: StandInAws;
let now: number;
let token: string;

beforeEach(async () => {
  now = START;
  aws = await new StandInAws({ effects: { now: () => now, sleep: () => Promise.resolve() } }).start();
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  aws.issuers.publish(ISSUER, { keys: [await exportJWK(publicKey)] });
  aws.iam.putOpenIDConnectProvider({ accountID: ACCOUNT, url: ISSUER, clientIDs: ['aws'] });
  aws.iam.putRole({
    arn: ROLE,
    maxSessionDuration: 43_200,
    trustPolicy: {
      Statement: {
        Effect: 'Allow',
        Principal: { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/cluster.example` },
        Action: 'sts:AssumeRoleWithWebIdentity',
      },
    },
  });
  const seconds = START / 1000;
  token = await new SignJWT({ iss: ISSUER, sub: 'robot', aud: 'aws', iat: seconds, exp: seconds + 86_400 })
    .setProtectedHeader({ alg: 'RS256' })
    .sign(privateKey);
});
afterEach(() => aws[Symbol.asyncDispose]());

function post(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(aws.url, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ Version: '2011-06-15', ...form }).toString(),
  });
}

async function parse(response: Response) {
  return new XMLParser({ ignoreAttributes: false, parseTagValue: false }).parse(await response.text());
}

async function errorOf(response: Response): Promise<[number, string, string]> {
  const { Code, Message } = (await parse(response)).ErrorResponse.Error;
  return [response.status, Code, Message];
}

async function assume(more: Record<string, string> = {}): Promise<Keys> {
  const form = { RoleArn: ROLE, RoleSessionName: 'session', WebIdentityToken: token, ...more };
  const response = await post({ Action: 'AssumeRoleWithWebIdentity', ...form });
  const { Credentials } = (await parse(response)).AssumeRoleWithWebIdentityResponse
    .AssumeRoleWithWebIdentityResult;
  return {
    accessKeyId: Credentials.AccessKeyId,
    secretAccessKey: Credentials.SecretAccessKey,
    sessionToken: Credentials.SessionToken,
  };
}

/** Signs as an SDK does and sends; `change` alters the request after that. */
async function postSigned(
  credentials: Keys,
  form: Record<string, string>,
  { service = 'sts', change = (headers: Record<string, string>) => headers } = {},
): Promise<Response> {
  const body = new URLSearchParams({ Version: '2011-06-15', ...form }).toString();
  const { host, hostname } = new URL(aws.url);
  const signer = new SignatureV4({ service, region: 'eu-west-1', sha256: Sha256, credentials });
  const headers = { host, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  const request = { method: 'POST', protocol: 'http:', hostname, path: '/', query: {}, headers, body };
  const signed = await signer.sign(request, { signingDate: new Date(now) });
  return fetch(aws.url, { method: 'POST', headers: change(signed.headers), body });
}

const WHO = { Action: 'GetCallerIdentity' };

test('credentials work until they expire', async () => {
  const credentials = await assume();
  const response = await postSigned(credentials, WHO);
  expect([
    response.status,
    (await parse(response)).GetCallerIdentityResponse.GetCallerIdentityResult,
  ]).toEqual([
    200,
    { Arn: SESSION, UserId: expect.stringMatching(/^AROA\w{17}:session$/), Account: ACCOUNT },
  ]);
  now += 3_600_000;
  expect(await errorOf(await postSigned(credentials, WHO))).toEqual([
    403,
    'ExpiredToken',
    'The security token included in the request is expired',
  ]);
  expect(aws.describe(credentials.accessKeyId)).toBeUndefined();
});

const UNKNOWN = [403, 'InvalidClientTokenId', 'The security token included in the request is invalid.'];

test('refuses credentials that it did not issue, and a session token of others', async () => {
  const [one, other] = [await assume(), await assume()];
  const unknown = { ...one, accessKeyId: 'ASIAAAAAAAAAAAAAAAAA' };
  for (const credentials of [unknown, { ...one, sessionToken: other.sessionToken }]) {
    expect<unknown>(await errorOf(await postSigned(credentials, WHO))).toEqual(UNKNOWN);
  }
});

test('refuses another secret, a changed request, another service and an old signature', async () => {
  const credentials = await assume();
  const wrong = { ...credentials, secretAccessKey: 'x'.repeat(40) };
  const added = (headers: Record<string, string>) => ({ ...headers, 'content-type': 'text/plain' });
  const old = (headers: Record<string, string>) => {
    now += 16 * 60_000;
    return headers;
  };
  const outcomes = [
    await errorOf(await postSigned(wrong, WHO)),
    await errorOf(await postSigned(credentials, WHO, { change: added })),
    await errorOf(await postSigned(credentials, WHO, { service: 's3' })),
    await errorOf(await postSigned(credentials, WHO, { change: old })),
  ];
  expect(outcomes).toEqual([
    [
      403,
      'SignatureDoesNotMatch',
      expect.stringMatching(/^The request signature we calculated does not match/),
    ],
    [
      403,
      'SignatureDoesNotMatch',
      expect.stringMatching(/^The request signature we calculated does not match/),
    ],
    [403, 'SignatureDoesNotMatch', "Credential should be scoped to correct service: 'sts'."],
    [403, 'SignatureDoesNotMatch', expect.stringMatching(/^Signature expired: 20260304T050607Z/)],
  ]);
});

test('refuses a request without a signature, and one that it cannot read', async () => {
  expect(await errorOf(await post(WHO))).toEqual([
    403,
    'MissingAuthenticationToken',
    'Request is missing Authentication Token',
  ]);
  expect((await errorOf(await post(WHO, { authorization: 'Bearer x' })))[1]).toBe('IncompleteSignature');
  const undated = (headers: Record<string, string>) => ({ ...headers, 'x-amz-date': 'today' });
  expect((await errorOf(await postSigned(await assume(), WHO, { change: undated })))[1]).toBe(
    'IncompleteSignature',
  );
});

test('role chaining: a session assumes another role, for an hour at most', async () => {
  const other = `arn:aws:iam::210987654321:role/other`;
  const trust = (AWS: string) =>
    aws.iam.putRole({
      arn: other,
      maxSessionDuration: 43_200,
      trustPolicy: { Statement: { Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole' } },
    });
  const form = { Action: 'AssumeRole', RoleArn: other, RoleSessionName: 'next' };
  const credentials = await assume();
  for (const name of [ROLE, SESSION, `arn:aws:iam::${ACCOUNT}:root`, ACCOUNT, '*']) {
    trust(name);
    const { AssumeRoleResponse } = await parse(await postSigned(credentials, form));
    expect(AssumeRoleResponse.AssumeRoleResult.AssumedRoleUser.Arn).toBe(
      'arn:aws:sts::210987654321:assumed-role/other/next',
    );
  }
  expect(await errorOf(await postSigned(credentials, { ...form, DurationSeconds: '3601' }))).toEqual([
    400,
    'ValidationError',
    'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.',
  ]);
  trust('arn:aws:iam::210987654321:root');
  expect(await errorOf(await postSigned(credentials, form))).toEqual([
    403,
    'AccessDenied',
    `User: ${SESSION} is not authorized to perform: sts:AssumeRole on resource: ${other}`,
  ]);
  expect((await errorOf(await post(form)))[1]).toBe('MissingAuthenticationToken');
});

test('responds as the Query API does', async () => {
  const response = await post({ Action: 'Nothing' });
  const requestID = response.headers.get('x-amzn-requestid');
  expect([response.headers.get('content-type'), await parse(response)]).toEqual([
    'text/xml',
    {
      ErrorResponse: {
        '@_xmlns': 'https://sts.amazonaws.com/doc/2011-06-15/',
        Error: {
          Type: 'Sender',
          Code: 'InvalidAction',
          Message: 'Could not find operation Nothing for version 2011-06-15',
        },
        RequestId: requestID,
      },
    },
  ]);
});

test('a value cannot break out of its element', async () => {
  const name = '</Message><Code>x</Code>&';
  const [, , message] = await errorOf(await post({ Action: name }));
  expect(message).toBe(`Could not find operation ${name} for version 2011-06-15`);
});

test('the journal tells who asked for what, without tokens', async () => {
  const credentials = await assume({ DurationSeconds: '900' });
  await postSigned(credentials, WHO);
  await post({
    Action: 'AssumeRoleWithWebIdentity',
    RoleArn: ROLE,
    RoleSessionName: 'a',
    WebIdentityToken: token,
  });
  expect(aws.journal.calls).toEqual([
    {
      at: START,
      action: 'AssumeRoleWithWebIdentity',
      roleArn: ROLE,
      sessionName: 'session',
      durationSeconds: 900,
      principal: SESSION,
      code: undefined,
      status: 200,
    },
    expect.objectContaining({ action: 'GetCallerIdentity', principal: SESSION, status: 200 }),
    expect.objectContaining({ sessionName: 'a', principal: undefined, code: 'ValidationError', status: 400 }),
  ]);
  const journal = JSON.stringify(aws.journal.calls);
  expect([token, ...Object.values(credentials)].filter((secret) => journal.includes(secret))).toEqual([]);
});

test('fails as configured, in STS’s form', async () => {
  aws.faults.sts.failWith(503, 1);
  expect((await errorOf(await post(WHO))).slice(0, 2)).toEqual([503, 'ServiceUnavailable']);
  aws.faults.sts.failWith(429, 1);
  expect(await errorOf(await post(WHO))).toEqual([400, 'Throttling', 'Rate exceeded']);
  aws.faults.sts.failWith('reset', 1);
  expect(await post(WHO).catch(() => 'cut')).toBe('cut');
  expect((await errorOf(await post(WHO)))[1]).toBe('MissingAuthenticationToken');
});

test('stopped and started again: the same address and credentials', async () => {
  const { url } = aws;
  const credentials = await assume();
  await aws.stop();
  await aws.start();
  expect([aws.url, (await postSigned(credentials, WHO)).status]).toEqual([url, 200]);
});
