import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { pod, serviceAccount } from '../sandbox/kubernetes/objects.ts';
import { type SandboxWorld, startSandboxWorld } from '../sandbox/sandbox-world.ts';
import { annotated } from '../testing/fake-metadata.ts';
import { impatientEffects } from '../testing/impatient-effects.ts';
import { QUOTA_PROJECT_ANNOTATION } from './google-account.ts';
import { GoogleTokens } from './google-tokens.ts';
import { principalOf } from './workload-identity-provider.ts';

// Real HTTP, real signatures and real IAM policies: what the fakes of google-tokens.test.ts take for granted.

const READ = 'https://www.googleapis.com/auth/devstorage.read_only';

let world: SandboxWorld;
let tokens: GoogleTokens;
let effects: Effects;

beforeEach(async () => {
  world = await startSandboxWorld();
  effects = impatientEffects();
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  tokens = new GoogleTokens(
    {
      workloadIdentityProvider: world.provider,
      cacheTokens: true,
      cacheTokensPerPod: false,
      cacheMaxTokenDurationSeconds: 3600,
      googleStsEndpoint: world.google.url,
      googleIamCredentialsEndpoint: world.google.url,
    },
    {
      kubernetes: new RestClient(new ApiServer(cluster, effects), effects),
      effects,
      events: { exchanged() {}, exchangeThrottled() {}, cacheLookedUp() {} },
      limits: { enter: () => () => {} },
      log: { debug() {}, warn() {}, error() {} },
      refused() {},
    },
  );
});

afterEach(() => world[Symbol.asyncDispose]());

function callerOf(name: string): Caller {
  const inhabitant = world.inhabitants.find((candidate) => candidate.name === name);
  if (inhabitant === undefined) throw new Error(`nobody is called ${name}`);
  const { namespace, serviceAccountName, googleAccount } = inhabitant;
  const uid = world.kubernetes.get('ServiceAccount', namespace, serviceAccountName)?.metadata.uid;
  const podUID = world.kubernetes.get('Pod', namespace, name)?.metadata.uid;
  if (uid === undefined || podUID === undefined) throw new Error(`${name} is not in the cluster`);
  return {
    serviceAccount: {
      namespace,
      name: serviceAccountName,
      uid,
      annotations: annotated(googleAccount),
    },
    boundTo: { kind: 'Pod', name, uid: podUID },
  };
}

const googleCalls = () => world.google.journal.calls.map(({ method, status }) => `${method} ${status}`);
const failureOf = (token: unknown) => Promise.resolve(token).catch((error: unknown) => error);

describe('against real servers', () => {
  test('an annotated Pod gets tokens of its account, each further scope by one call of Google', async () => {
    const caller = callerOf('annotated');
    const token = await tokens.accessToken(caller, '');
    expect(world.google.describe(token.token.reveal())?.principal).toMatchObject({
      member: 'serviceAccount:reader@sandbox-project.iam.gserviceaccount.com',
    });
    expect(googleCalls()).toEqual(['token 200', 'generateAccessToken 200']);
    const read = await tokens.accessToken(caller, READ);
    expect(world.google.describe(read.token.reveal())?.scopes).toEqual([READ]);
    expect(googleCalls().slice(2)).toEqual(['generateAccessToken 200']);
    expect(world.kubernetes.journal.count(({ resource }) => resource === 'serviceaccounts/token')).toBe(1);
  });

  test('an annotated Pod gets an ID token that Google has signed, with the email in it', async () => {
    const { token } = await tokens.idToken(callerOf('annotated'), 'https://receiver');
    const { payload } = await jwtVerify(token.reveal(), createLocalJWKSet(world.google.jwks), {
      issuer: 'https://accounts.google.com',
      audience: 'https://receiver',
    });
    expect(payload).toMatchObject({
      email: 'reader@sandbox-project.iam.gserviceaccount.com',
      email_verified: true,
    });
    expect(googleCalls()).toEqual(['token 200', 'generateIdToken 200']);
  });

  test('an ID token takes two steps if the role grants access tokens only', async () => {
    const { serviceAccounts } = world.google;
    const reader = 'reader@sandbox-project.iam.gserviceaccount.com';
    serviceAccounts.workloadIdentityUserGrantsIdTokens = false;
    serviceAccounts.bind(reader, 'roles/iam.serviceAccountOpenIdTokenCreator', `serviceAccount:${reader}`);
    await tokens.idToken(callerOf('annotated'), 'https://receiver');
    expect(googleCalls()).toEqual([
      'token 200',
      'generateIdToken 403',
      'generateAccessToken 200',
      'generateIdToken 200',
    ]);
  });

  test('a Pod without an annotation gets the federated token itself', async () => {
    const { token } = await tokens.accessToken(callerOf('direct'), READ);
    expect(world.google.describe(token.reveal())).toMatchObject({
      principal: { kind: 'federated' },
      scopes: [READ],
    });
    expect(googleCalls()).toEqual(['token 200']);
  });

  test("a denied Pod gets Google's own message", async () => {
    expect(await failureOf(tokens.accessToken(callerOf('denied'), ''))).toMatchObject({
      code: 'iam-permission-denied',
      operation: 'access token',
      status: 403,
      googleMessage:
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
    });
  });

  test('a quota project must allow it, and is what the calls are counted against', async () => {
    const { serviceAccount, boundTo } = callerOf('annotated');
    const annotations = { ...serviceAccount.annotations, [QUOTA_PROJECT_ANNOTATION]: 'quota-project' };
    const asker = { boundTo, serviceAccount: { ...serviceAccount, annotations } };
    expect(await failureOf(tokens.accessToken(asker, ''))).toMatchObject({
      code: 'quota-project-denied',
      googleMessage: expect.stringContaining('required permission to use project quota-project'),
    });
    world.google.iam.quotaProjects.set(
      'quota-project',
      new Set([principalOf(serviceAccount, world.provider)]),
    );
    expect(await tokens.idToken(asker, 'https://receiver')).toBeDefined();
    expect(world.google.journal.calls.at(-1)).toMatchObject({ quotaProject: 'quota-project', status: 200 });
  });

  test('a subject that is too long gets a remedy', async () => {
    const name = 'n'.repeat(100);
    world.kubernetes.put(serviceAccount({ name, namespace: 'default' }));
    world.kubernetes.put(
      pod({
        name: 'long',
        namespace: 'default',
        serviceAccountName: name,
        nodeName: world.nodeName,
        ips: ['127.0.0.31'],
      }),
    );
    const uid = world.kubernetes.get('ServiceAccount', 'default', name)?.metadata.uid ?? '';
    const podUID = world.kubernetes.get('Pod', 'default', 'long')?.metadata.uid ?? '';
    const asker: Caller = {
      serviceAccount: { namespace: 'default', name, uid, annotations: {} },
      boundTo: { kind: 'Pod', name: 'long', uid: podUID },
    };
    expect(await failureOf(tokens.accessToken(asker, ''))).toMatchObject({ code: 'sts-subject-too-long' });
  });

  test('an account that does not exist is reported as missing', async () => {
    world.google.serviceAccounts.remove('reader@sandbox-project.iam.gserviceaccount.com');
    expect(await failureOf(tokens.accessToken(callerOf('annotated'), ''))).toMatchObject({
      code: 'google-account-missing',
      googleMessage: 'Requested entity was not found.',
    });
  });

  test('a cluster that Google does not trust is refused by the STS', async () => {
    const jwks = { keys: [] };
    world.google.addProvider({ provider: world.provider, issuer: world.kubernetes.issuer, jwks });
    expect(await failureOf(tokens.accessToken(callerOf('annotated'), ''))).toMatchObject({
      code: 'sts-refused',
      operation: 'federated token',
      status: 400,
    });
  });

  test('a Pod that has been replaced gets nothing', async () => {
    const { serviceAccount } = callerOf('annotated');
    const boundTo = { kind: 'Pod', name: 'annotated', uid: crypto.randomUUID() } as const;
    expect(await failureOf(tokens.accessToken({ serviceAccount, boundTo }, ''))).toMatchObject({
      code: 'bound-object-gone',
    });
  });

  test('transient failures are not seen; expires_in may be missing', async () => {
    world.google.sts.omitExpiresIn = true;
    world.google.faults.sts.failWith(503, 1);
    world.google.faults.iam.failWith('reset', 1);
    expect(await tokens.accessToken(callerOf('annotated'), '')).toBeDefined();
    expect(googleCalls().filter((call) => call.endsWith(' 200'))).toHaveLength(2);
  });

  test('cached tokens survive an outage of Google, which is noticed when it ends', async () => {
    const caller = callerOf('annotated');
    const cached = await tokens.accessToken(caller, '');
    await world.google.stop();
    expect(await tokens.accessToken(caller, '')).toBe(cached);
    expect(await failureOf(tokens.idToken(caller, 'a'))).toMatchObject({ code: 'google-unavailable' });
    await world.google.start();
    await effects.sleep(1000); // the back-off of its caller
    expect(await tokens.idToken(caller, 'b')).toBeDefined();
  });
});
