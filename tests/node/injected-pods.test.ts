import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { Cache } from '../../scripts/tools/cache.ts';
import { clientsArchive, clientsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { type PodOptions, Pods, podTemplate } from './pods.ts';

setDefaultTimeout(240_000);

const AUDIENCE = 'https://service.example.com/path?query=1';
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only';
const V1 = '/computeMetadata/v1';
const ACCOUNTS = `${V1}/instance/service-accounts`;
const GOOGLE_AUTH = join(import.meta.dir, '../clients/python/client.py');
const GKE_NODE_SELECTOR = { 'iam.gke.io/gke-metadata-server-enabled': 'true' };
const ENVIRONMENT = { 'gke-metadata-server.matheuscscp.io/mode': 'Environment' };

let world: NodeWorld;
let pods: Pods;
let reader: string;
let nodes: string;

beforeAll(async () => {
  const clients = clientsArchive(new Cache());
  world = await NodeWorld.start({ dualStack: true });
  pods = new Pods(world.api);
  reader = await world.addServiceAccount('reader');
  nodes = await world.addServiceAccount('node');
  await world.setNodeServiceAccount('node');
  await world.cluster.loadImage(await clients);
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** What curl prints of each URL, in one Pod: each is asked once, and what is not 2xx fails the Pod. */
async function curl(urls: readonly string[], pod: Omit<PodOptions, 'command'>): Promise<string[]> {
  const flags = '--silent --show-error --fail --location --header Metadata-Flavor:Google';
  const script = urls.map((url) => `curl ${flags} '${url}' && echo '\n--'`).join(' && ');
  const log = await pods.run({ ...pod, command: ['/bin/sh', '-c', script] });
  return log.split('\n--\n').slice(0, -1);
}

function accountOf(tokenResponse = ''): string | undefined {
  return world.accountOf(JSON.parse(tokenResponse).access_token);
}

async function verified(idToken: string): Promise<object> {
  const options = { issuer: 'https://accounts.google.com', audience: AUDIENCE };
  return (await jwtVerify(idToken, createLocalJWKSet(world.google.jwks), options)).payload;
}

/** An application that knows of Google's library and nothing of us. */
async function expectGoogleAuth(pod: Partial<PodOptions> & { name: string }, email: string): Promise<void> {
  const program = await Bun.file(GOOGLE_AUTH).text();
  const command = ['python3', '-c', program, AUDIENCE, SCOPE];
  const log = await pods.run({ serviceAccountName: 'reader', image: clientsImage, ...pod, command });
  const seen = JSON.parse(log);
  expect(seen).toMatchObject({ available: true, projectID: 'node-project', email });
  expect(world.google.describe(seen.accessToken)).toMatchObject({
    principal: { member: `serviceAccount:${email}` },
    scopes: [SCOPE],
  });
  expect(await verified(seen.idToken)).toMatchObject({ email });
}

test('curl gets a token at its first try, by address and by name', async () => {
  const urls = ['169.254.169.254', 'metadata.google.internal'].map((host) => `http://${host}${ACCOUNTS}`);
  const answers = await curl(
    urls.map((url) => `${url}/default/token`),
    { name: 'curl', serviceAccountName: 'reader' },
  );
  expect(answers.map(accountOf)).toEqual([reader, reader]);
});

test('a Pod with both kinds of address asks over IPv6 too, and is the same there', async () => {
  const token = `http://[fd20:ce::254]${ACCOUNTS}/default/token`;
  const answers = await curl([token], { name: 'ipv6', serviceAccountName: 'reader' });
  expect(answers.map(accountOf)).toEqual([reader]);
});

test('google-auth, unchanged', () => expectGoogleAuth({ name: 'google-auth' }, reader));

test("what gcloud asks, in gcloud's order", async () => {
  const paths = [
    `${V1}/project/numeric-project-id`,
    `${ACCOUNTS}/`,
    `${ACCOUNTS}/default/email`,
    `${V1}/project/project-id`,
    `${V1}/universe/universe-domain`,
    `${ACCOUNTS}/${reader}/?recursive=true`,
    `${ACCOUNTS}/${reader}/token`,
    `${ACCOUNTS}/default/identity?audience=${encodeURIComponent(AUDIENCE)}&format=standard&licenses=FALSE`,
  ];
  const urls = paths.map((path) => `http://metadata.google.internal${path}`);
  const answers = await curl(urls, { name: 'gcloud', serviceAccountName: 'reader' });
  const [number, accounts, email, project, universe, account = '', token, idToken = ''] = answers;
  expect({ number, accounts, email, project, universe }).toEqual({
    number: '123456789012',
    accounts: `default/\n${reader}/\n`,
    email: reader,
    project: 'node-project',
    universe: 'googleapis.com',
  });
  expect(JSON.parse(account)).toMatchObject({ email: reader });
  expect(accountOf(token)).toBe(reader);
  expect(await verified(idToken)).toMatchObject({ email: reader });
});

test("a manifest written for GKE is scheduled and gets its credentials: GKE's nodeSelector, no label of ours", () =>
  expectGoogleAuth({ name: 'gke', labels: {}, spec: { nodeSelector: GKE_NODE_SELECTOR } }, reader));

test('mode Environment: google-auth, unchanged, in a Pod that Pod Security "restricted" lets in', async () => {
  const namespace = '/api/v1/namespaces/default';
  const enforce = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const contentType = 'application/merge-patch+json';
  await world.api.text('PATCH', namespace, { contentType, body: { metadata: { labels: enforce } } });
  try {
    const restricted = {
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      },
    };
    await expectGoogleAuth({ name: 'environment', annotations: ENVIRONMENT, ...restricted }, reader);
    const pod = { name: 'redirected', serviceAccountName: 'reader', command: ['true'], ...restricted };
    const refused = await world.api.fetch('POST', `${namespace}/pods`, { body: podTemplate(pod) });
    expect([refused.status, await refused.text()]).toEqual([
      403,
      expect.stringMatching(/violates PodSecurity.*container \\"init-network\\" must not include/),
    ]);
  } finally {
    const labels = { 'pod-security.kubernetes.io/enforce': null };
    await world.api.text('PATCH', namespace, { contentType, body: { metadata: { labels } } });
  }
});

test('a Job finishes: nothing of the route goes on beside it', async () => {
  const jobs = '/apis/batch/v1/namespaces/default/jobs';
  const command = [
    'curl',
    '--fail',
    '--header',
    'Metadata-Flavor:Google',
    `http://169.254.169.254${ACCOUNTS}/`,
  ];
  const template = podTemplate({ name: 'job', serviceAccountName: 'reader', command });
  await world.api.text('POST', jobs, {
    body: { metadata: { name: 'job' }, spec: { backoffLimit: 0, template } },
  });
  await waitUntil('the Job finishes', async () => {
    const { status } = await world.api.json<{ status: { succeeded?: number } }>('GET', `${jobs}/job`);
    return status.succeeded === 1;
  });
});

test("a Pod on the host network gets the Node's account, however it asks", async () => {
  const host = { serviceAccountName: 'reader', spec: { hostNetwork: true } };
  await expectGoogleAuth({ name: 'host-google-auth', ...host }, nodes);
  const [ipv4, ipv6] = world.cluster.nodeAddresses;
  const urls = ['127.0.0.1', '[::1]', ipv4, `[${ipv6}]`].map(
    (address) => `http://${address}:16321${ACCOUNTS}`,
  );
  const answers = await curl(
    urls.map((url) => `${url}/default/token`),
    { name: 'host-curl', ...host },
  );
  expect(answers.map(accountOf)).toEqual([nodes, nodes, nodes, nodes]);
});
