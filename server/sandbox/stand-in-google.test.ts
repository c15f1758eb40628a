import { expect, test } from 'bun:test';
import { WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import { pod, serviceAccount } from './kubernetes/objects.ts';
import { StandInGoogle } from './stand-in-google.ts';
import { StandInKubernetes } from './stand-in-kubernetes.ts';

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const READER = 'reader@p.iam.gserviceaccount.com';
const provider = WorkloadIdentityProvider.parse(
  'projects/42/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const PRINCIPAL =
  'principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/pool' +
  '/subject/system:serviceaccount:default:robot';

/** Both stand-ins, the one trusting the other; the account `reader` may be used by `default/robot`. */
async function both() {
  await using stack = new AsyncDisposableStack();
  const kubernetes = stack.use(await new StandInKubernetes().start());
  const google = stack.use(await new StandInGoogle().start());
  google.addProvider({ provider, issuer: kubernetes.issuer, jwks: kubernetes.jwks });
  google.serviceAccounts.bind(READER, 'roles/iam.workloadIdentityUser', PRINCIPAL);
  kubernetes.put(serviceAccount({ name: 'robot' }));
  kubernetes.put(pod({ name: 'p', serviceAccountName: 'robot' }));
  const owned = stack.move();
  return { kubernetes, google, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What became of a request. */
function outcome(answer: Promise<unknown>): Promise<'answered' | 'cut'> {
  return answer.then(
    () => 'answered',
    () => 'cut',
  );
}

/** The one field of a response that the next step needs. */
async function field(response: Response, name: string): Promise<string> {
  // checked by what is done with it
  const body = (await response.json()) as Record<string, unknown>;
  const value = body[name];
  return typeof value === 'string' ? value : JSON.stringify(value);
}

async function kubernetesToken(kubernetes: StandInKubernetes): Promise<string> {
  const response = await fetch(`${kubernetes.url}/api/v1/namespaces/default/serviceaccounts/robot/token`, {
    method: 'POST',
    body: JSON.stringify({
      spec: { audiences: [provider.audience], boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } },
    }),
  });
  const { token } = JSON.parse(await field(response, 'status'));
  return token;
}

function exchange(google: StandInGoogle, subjectToken: string): Promise<Response> {
  return fetch(`${google.url}/v1/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: provider.audience,
      scope: CLOUD_PLATFORM,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: subjectToken,
    }),
  });
}

function generate(google: StandInGoogle, token: string, method: string, body: unknown): Promise<Response> {
  return fetch(`${google.url}/v1/projects/-/serviceAccounts/${encodeURIComponent(READER)}:${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

test('from a cluster’s token to an account’s, and what tokeninfo and the journal report', async () => {
  await using world = await both();
  const { kubernetes, google } = world;
  const federated = await field(await exchange(google, await kubernetesToken(kubernetes)), 'access_token');
  const body = { scope: [CLOUD_PLATFORM] };
  const access = await field(await generate(google, federated, 'generateAccessToken', body), 'accessToken');
  const id = await field(await generate(google, federated, 'generateIdToken', { audience: 'a' }), 'token');

  const info = await fetch(`${google.url}/oauth2/v3/tokeninfo?access_token=${access}`);
  const uniqueID = google.serviceAccounts.get(READER)?.uniqueID;
  expect(await info.json()).toMatchObject({
    azp: uniqueID,
    aud: uniqueID,
    sub: uniqueID,
    email: READER,
    email_verified: 'true',
    scope: CLOUD_PLATFORM,
    exp: expect.stringMatching(/^[0-9]+$/),
    expires_in: expect.stringMatching(/^[0-9]+$/),
  });
  const posted = await fetch(`${google.url}/oauth2/v3/tokeninfo`, {
    method: 'POST',
    body: new URLSearchParams({ access_token: federated }),
  });
  expect(await posted.json()).toMatchObject({ sub: PRINCIPAL, scope: CLOUD_PLATFORM });

  expect(google.journal.calls).toMatchObject([
    {
      method: 'token',
      audience: provider.audience,
      scopes: [CLOUD_PLATFORM],
      principal: PRINCIPAL,
      status: 200,
    },
    {
      method: 'generateAccessToken',
      account: READER,
      scopes: [CLOUD_PLATFORM],
      principal: PRINCIPAL,
      status: 200,
    },
    { method: 'generateIdToken', account: READER, audience: 'a', principal: PRINCIPAL, status: 200 },
  ]);
  const journal = JSON.stringify(google.journal.calls);
  expect([federated, access, id].filter((token) => journal.includes(token))).toEqual([]);
});

test('tokeninfo knows only tokens that were issued', async () => {
  await using google = await new StandInGoogle().start();
  const response = await fetch(`${google.url}/oauth2/v3/tokeninfo?access_token=ya29.c.made-up`);
  expect([response.status, await response.json()]).toEqual([
    400,
    { error: 'invalid_token', error_description: 'Invalid Value' },
  ]);
});

test('an unauthenticated call, a body that is not JSON, and another path are refused in Google’s form and recorded', async () => {
  await using world = await both();
  const { google, kubernetes } = world;
  const refused = await generate(google, 'made-up', 'generateAccessToken', {});
  expect([refused.status, refused.headers.get('www-authenticate'), await refused.json()]).toEqual([
    401,
    'Bearer realm="https://accounts.google.com/"',
    { error: expect.objectContaining({ code: 401, status: 'UNAUTHENTICATED' }) },
  ]);
  const federated = await field(await exchange(google, await kubernetesToken(kubernetes)), 'access_token');
  for (const body of ['{', '3', 'null']) {
    expect((await generate(google, federated, 'generateAccessToken', body)).status).toBe(400);
  }
  expect((await generate(google, federated, 'signBlob', {})).status).toBe(404);
  expect(google.journal.calls.map(({ method, status }) => [method, status])).toEqual([
    ['generateAccessToken', 401],
    ['token', 200],
    ['generateAccessToken', 400],
    ['generateAccessToken', 400],
    ['generateAccessToken', 400],
    ['other', 404],
  ]);
});

test('each service fails on its own, in its own form', async () => {
  await using google = await new StandInGoogle().start();
  google.faults.sts.failWith(503);
  const sts = await exchange(google, 'any');
  expect([sts.status, await field(sts, 'error')]).toEqual([503, 'temporarily_unavailable']);
  expect((await generate(google, 'any', 'generateIdToken', {})).status).toBe(401);
  google.faults.sts.heal();
  google.faults.iam.failWith(429, 1);
  const iam = await generate(google, 'any', 'generateIdToken', {});
  expect([iam.status, JSON.parse(await field(iam, 'error')).status]).toEqual([429, 'RESOURCE_EXHAUSTED']);
  expect((await generate(google, 'any', 'generateIdToken', {})).status).toBe(401);
  google.faults.iam.failWith('reset');
  expect(await outcome(generate(google, 'any', 'generateIdToken', {}))).toBe('cut');
});

test('is slow by the sleep it is given', async () => {
  const slept: number[] = [];
  const effects = { now: Date.now, sleep: async (milliseconds: number) => void slept.push(milliseconds) };
  await using google = await new StandInGoogle({ effects }).start();
  google.faults.iam.delayMilliseconds = 100;
  await generate(google, 'any', 'generateIdToken', {});
  await exchange(google, 'any');
  expect(slept).toEqual([100]);
});

test('stopped and started again: the same port, keys and tokens', async () => {
  await using world = await both();
  const { google, kubernetes } = world;
  const { url, jwks } = google;
  const federated = await field(await exchange(google, await kubernetesToken(kubernetes)), 'access_token');
  await google.stop();
  expect(await outcome(fetch(`${url}/oauth2/v3/certs`))).toBe('cut');
  await google.start();
  expect([google.url, google.jwks]).toEqual([url, jwks]);
  expect((await generate(google, federated, 'generateIdToken', { audience: 'a' })).status).toBe(200);
});
