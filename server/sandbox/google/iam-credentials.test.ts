import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { StandInGoogle } from '../stand-in-google.ts';
import { IamCredentials } from './iam-credentials.ts';
import { AccessTokens, ServiceAccounts } from './principals.ts';

const START = Date.parse('2026-03-04T05:06:07.250Z');
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const POOL = 'iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/pool';
const ROBOT = `principal://${POOL}/subject/system:serviceaccount:ns:robot`;
const EVERYBODY = `principalSet://${POOL}/*`;
const READER = 'reader@p.iam.gserviceaccount.com';
const MIDDLE = 'middle@p.iam.gserviceaccount.com';

let now: number;
let tokens: AccessTokens;
let accounts: ServiceAccounts;
let iam: IamCredentials;

beforeEach(async () => {
  now = START;
  tokens = new AccessTokens(() => now);
  accounts = new ServiceAccounts();
  accounts.add(READER);
  iam = await IamCredentials.create(tokens, accounts, () => now);
});

/** A federated token of ROBOT, as STS would have given it. */
function federated(scopes = [CLOUD_PLATFORM]) {
  const principal = { kind: 'federated', member: ROBOT, memberOf: [EVERYBODY] } as const;
  return iam.authenticate(`Bearer ${tokens.issue({ principal, scopes, expiresAt: now + 3_600_000 })}`);
}

const BODY = { scope: [CLOUD_PLATFORM] };
const refusal = (code: number, message: string | RegExp) => ({
  body: { error: { code, message: typeof message === 'string' ? message : expect.stringMatching(message) } },
});
const denied = (permission: string) => ({
  body: {
    error: {
      code: 403,
      message: `Permission '${permission}' denied on resource (or it may not exist).`,
      status: 'PERMISSION_DENIED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission },
        },
      ],
    },
  },
});
const thrownBy = async (call: () => unknown) => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return 'nothing';
};

test.each([
  ['the principal', ROBOT],
  ['everybody of the pool', EVERYBODY],
])('workloadIdentityUser for %s gives access tokens and ID tokens', async (_, member) => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', member);
  const { accessToken, expireTime } = iam.generateAccessToken(federated(), READER, BODY);
  expect([accessToken, expireTime]).toEqual([
    expect.stringMatching(/^ya29\.c\.[\w-]{1000,}$/),
    '2026-03-04T06:06:07Z',
  ]);
  expect(tokens.find(accessToken)).toEqual({
    principal: { kind: 'service-account', member: `serviceAccount:${READER}`, memberOf: [] },
    scopes: [CLOUD_PLATFORM],
    expiresAt: Date.parse(expireTime),
  });
  expect(await iam.generateIdToken(federated(), READER, { audience: 'a' })).toEqual({
    token: expect.any(String),
  });
});

test('without a binding, with another’s, or with a removed one, it is denied', async () => {
  const deniedAccess = denied('iam.serviceAccounts.getAccessToken');
  const access = () => iam.generateAccessToken(federated(), READER, BODY);
  expect(await thrownBy(access)).toMatchObject(deniedAccess);
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', `${ROBOT}-2`);
  expect(await thrownBy(access)).toMatchObject(deniedAccess);
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  expect(await thrownBy(access)).toBe('nothing');
  accounts.unbind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  expect(await thrownBy(access)).toMatchObject(deniedAccess);
});

test('openIdTokenCreator gives ID tokens only', async () => {
  accounts.bind(READER, 'roles/iam.serviceAccountOpenIdTokenCreator', ROBOT);
  expect(await thrownBy(() => iam.generateIdToken(federated(), READER, { audience: 'a' }))).toBe('nothing');
  expect(await thrownBy(() => iam.generateAccessToken(federated(), READER, BODY))).toMatchObject(
    denied('iam.serviceAccounts.getAccessToken'),
  );
});

test('the two steps: if the first hop to an ID token is denied, the account asks for its own', async () => {
  accounts.workloadIdentityUserGrantsIdTokens = false;
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  const deniedID = denied('iam.serviceAccounts.getOpenIdToken');
  expect(await thrownBy(() => iam.generateIdToken(federated(), READER, { audience: 'a' }))).toMatchObject(
    deniedID,
  );
  const itself = iam.authenticate(`Bearer ${iam.generateAccessToken(federated(), READER, BODY).accessToken}`);
  expect(await thrownBy(() => iam.generateIdToken(itself, READER, { audience: 'a' }))).toMatchObject(
    deniedID,
  );
  accounts.bind(READER, 'roles/iam.serviceAccountOpenIdTokenCreator', `serviceAccount:${READER}`);
  expect(await thrownBy(() => iam.generateIdToken(itself, READER, { audience: 'a' }))).toBe('nothing');
});

test('delegates: each must let its predecessor go on', async () => {
  const body = { ...BODY, delegates: [`projects/-/serviceAccounts/${MIDDLE}`] };
  const access = () => iam.generateAccessToken(federated(), READER, body);
  accounts.add(MIDDLE);
  expect(await thrownBy(access)).toMatchObject(denied('iam.serviceAccounts.implicitDelegation'));
  accounts.bind(MIDDLE, 'roles/iam.serviceAccountTokenCreator', ROBOT);
  expect(await thrownBy(access)).toMatchObject(denied('iam.serviceAccounts.getAccessToken'));
  accounts.bind(READER, 'roles/iam.serviceAccountTokenCreator', `serviceAccount:${MIDDLE}`);
  expect(await thrownBy(access)).toBe('nothing');
});

test('an account that does not exist is not found', async () => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  accounts.remove(READER);
  expect(await thrownBy(() => iam.generateAccessToken(federated(), READER, BODY))).toMatchObject({
    body: { error: { code: 404, message: 'Requested entity was not found.', status: 'NOT_FOUND' } },
  });
});

test('an unknown, missing or expired token is not authenticated', async () => {
  const principal = { kind: 'federated', member: ROBOT, memberOf: [] } as const;
  const expiring = tokens.issue({ principal, scopes: [CLOUD_PLATFORM], expiresAt: now + 1000 });
  expect(await thrownBy(() => iam.authenticate(`Bearer ${expiring}`))).toBe('nothing');
  now += 1000;
  for (const header of [`Bearer ${expiring}`, 'Bearer ya29.c.unknown', `Basic ${expiring}`, null]) {
    expect(await thrownBy(() => iam.authenticate(header))).toMatchObject({
      body: { error: { code: 401, status: 'UNAUTHENTICATED' } },
    });
  }
});

test('a federated token whose scopes do not cover the API is refused; that of iam does', async () => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  const narrow = federated(['https://www.googleapis.com/auth/devstorage.read_only']);
  expect(await thrownBy(() => iam.generateAccessToken(narrow, READER, BODY))).toMatchObject({
    body: {
      error: {
        code: 403,
        message: 'Request had insufficient authentication scopes.',
        status: 'PERMISSION_DENIED',
        details: [{ reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT', domain: 'googleapis.com' }],
      },
    },
  });
  expect(await thrownBy(() => iam.generateIdToken(narrow, READER, { audience: 'a' }))).toMatchObject(
    refusal(403, /scopes/),
  );
  const enough = federated(['https://www.googleapis.com/auth/iam']);
  expect(await thrownBy(() => iam.generateAccessToken(enough, READER, BODY))).toBe('nothing');
});

test.each([
  ['no scope', {}],
  ['an empty list of scopes', { scope: [] }],
  ['a scope that is not one', { scope: ['cloud-platform'] }],
  ['scopes in one string', { scope: CLOUD_PLATFORM }],
  ['a lifetime without a unit', { ...BODY, lifetime: '3600' }],
  ['a lifetime of nothing', { ...BODY, lifetime: '0s' }],
  ['a lifetime that is a number', { ...BODY, lifetime: 3600 }],
  ['a delegate that is not a resource name', { ...BODY, delegates: [MIDDLE] }],
])('refuses %s', async (_, body) => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  expect(await thrownBy(() => iam.generateAccessToken(federated(), READER, body))).toMatchObject({
    body: { error: { code: 400, status: 'INVALID_ARGUMENT' } },
  });
});

test.each([
  ['no audience', {}],
  ['an empty audience', { audience: '' }],
  ['includeEmail that is not a boolean', { audience: 'a', includeEmail: 'yes' }],
])('refuses an ID token with %s', async (_, body) => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  expect(await thrownBy(() => iam.generateIdToken(federated(), READER, body))).toMatchObject({
    body: { error: { code: 400, status: 'INVALID_ARGUMENT' } },
  });
});

test('a lifetime is at most an hour, or twelve if that is allowed', async () => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  const access = (lifetime: string) => () =>
    iam.generateAccessToken(federated(), READER, { ...BODY, lifetime }).expireTime;
  expect([access('600s')(), access('3600s')()]).toEqual(['2026-03-04T05:16:07Z', '2026-03-04T06:06:07Z']);
  expect(await thrownBy(access('3601s'))).toMatchObject(refusal(400, /cannot exceed 3600 seconds/));
  iam.maxLifetimeSeconds = 43_200;
  expect(access('43200s')()).toBe('2026-03-04T17:06:07Z');
  expect(await thrownBy(access('43201s'))).toMatchObject(refusal(400, /cannot exceed 43200 seconds/));
});

let google: StandInGoogle | undefined;
afterEach(async () => {
  await google?.stop();
  google = undefined;
});

test('an ID token is of Google’s shape and verifies by the served certs', async () => {
  google = await new StandInGoogle({ effects: { now: () => now, sleep: () => Promise.resolve() } }).start();
  const { uniqueID } = google.serviceAccounts.add(READER);
  google.serviceAccounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  const certs = createRemoteJWKSet(new URL(`${google.url}/oauth2/v3/certs`));
  const verify = async (includeEmail: boolean) => {
    const { token } =
      (await google?.iam.generateIdToken(federated(), READER, { audience: 'aud', includeEmail })) ?? {};
    return jwtVerify(`${token}`, certs, { currentDate: new Date(now) });
  };
  const issued = Math.floor(START / 1000);
  const claims = {
    iss: 'https://accounts.google.com',
    aud: 'aud',
    azp: uniqueID,
    sub: uniqueID,
    iat: issued,
    exp: issued + 3600,
  };
  const { payload, protectedHeader } = await verify(true);
  expect(payload).toEqual({ ...claims, email: READER, email_verified: true });
  expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' });
  expect((await verify(false)).payload).toEqual(claims);
});

test('charges a quota project only for those who may use it', async () => {
  accounts.bind(READER, 'roles/iam.workloadIdentityUser', ROBOT);
  const calls = [
    () => iam.generateAccessToken(federated(), READER, BODY, 'quota-project'),
    () => iam.generateIdToken(federated(), READER, { audience: 'a' }, 'quota-project'),
  ];
  for (const call of calls) {
    expect(await thrownBy(call)).toMatchObject({
      body: {
        error: {
          code: 403,
          message: expect.stringContaining('serviceusage.services.use'),
          details: [{ reason: 'USER_PROJECT_DENIED', metadata: { consumer: 'projects/quota-project' } }],
        },
      },
    });
  }
  iam.quotaProjects.set('quota-project', new Set([ROBOT]));
  for (const call of calls) expect(await call()).toBeDefined();
});
