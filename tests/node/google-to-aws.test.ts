import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { Cache } from '../../scripts/tools/cache.ts';
import type { TrustPolicy } from '../../server/sandbox/aws/trust-policy.ts';
import { StandInAws } from '../../server/sandbox/stand-in-aws.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { otherCloudsArchive, otherCloudsImage } from './other-clouds-image.ts';
import { type Pod, Pods, podTemplate } from './pods.ts';

setDefaultTimeout(280_000);

const LABELS = { 'admission.token-injector/enabled': 'true' };
const ROLES = 'arn:aws:iam::123456789012:role';
const GENERATE = 'generate-gcp-id-token';
const UPDATE = 'update-gcp-id-token';
const GUIDE = join(import.meta.dir, '../../docs/clouds/google-to-aws.md');
const PROGRAM = join(import.meta.dir, 'assume_role.py');
const JOBS = '/apis/batch/v1/namespaces/default/jobs';
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const MERGE = 'application/merge-patch+json';
/** Seconds: the least that lets a renewal fall due and fail, and leaves a minute for the server to come back. */
const LIFE = { short: 30, long: 150 };

let world: NodeWorld;
let pods: Pods;
let aws: StandInAws;
let program: string;

beforeAll(async () => {
  const clients = otherCloudsArchive(new Cache());
  program = await Bun.file(PROGRAM).text();
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  const [hostname = ''] = world.cluster.hostAddresses;
  aws = await new StandInAws({ hostname }).start();
  aws.issuers.publish('https://accounts.google.com', world.google.jwks);
  await world.install({ googleToAws: { enabled: true } });
  await world.cluster.loadImage(await clients);
  await addAccount('app');
  await addAccount('long');
  await waitUntil('the webhook injects tokens for AWS', async () => {
    const body = podTemplate({ name: 'asks', ...APP, command: ['true'] });
    const made = await world.api.json<{ spec: { initContainers?: unknown[] } }>(
      'POST',
      '/api/v1/namespaces/default/pods?dryRun=All',
      { body },
    );
    return made.spec.initContainers?.length === 2;
  });
});
afterAll(async () => {
  await aws?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const APP = { serviceAccountName: 'app', labels: LABELS, image: otherCloudsImage };

/** A ServiceAccount with the annotations that token-injector reads, and a role of its name that trusts it. */
async function addAccount(name: string): Promise<void> {
  const arn = `${ROLES}/${name}`;
  const email = await world.addServiceAccount(name);
  await world.api.text('PATCH', `${ACCOUNTS}/${name}`, {
    contentType: MERGE,
    body: { metadata: { annotations: { 'amazonaws.com/role-arn': arn } } },
  });
  const { uniqueID = '' } = world.google.serviceAccounts.get(email) ?? {};
  aws.iam.putRole({ arn, trustPolicy: await documentedTrustPolicy(uniqueID) });
}

/** What AWS calls a Pod of that ServiceAccount. */
function sessionOf(name: string): string {
  return `arn:aws:sts::123456789012:assumed-role/${name}/default.${name}`;
}

/** As the guide has it. */
async function documentedTrustPolicy(uniqueID: string): Promise<TrustPolicy> {
  const guide = await Bun.file(GUIDE).text();
  const [, policy = ''] = /^```json\n(.*?)^```/ms.exec(guide) ?? [];
  return JSON.parse(policy.replaceAll('UNIQUE_ID', uniqueID));
}

/** What `main` is beside its image: the program, and the address of its AWS. */
function main(...args: string[]) {
  return {
    name: 'main',
    image: otherCloudsImage,
    imagePullPolicy: 'Never',
    command: ['python3', '-c', program, ...args],
    env: [
      { name: 'AWS_ENDPOINT_URL_STS', value: aws.url },
      { name: 'AWS_DEFAULT_REGION', value: 'eu-west-1' },
    ],
  };
}

function stateOf(pod: Pod, container: string) {
  return pod.status.initContainerStatuses?.find(({ name }) => name === container)?.state;
}

test('boto3 has its role in a Job that finishes, Guaranteed, where Pod Security "restricted" is enforced', async () => {
  const enforce = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const namespace = '/api/v1/namespaces/default';
  const amount = { cpu: '500m', memory: '128Mi' };
  const container = {
    ...main(),
    resources: { requests: amount, limits: amount },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  const spec = {
    containers: [container],
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  };
  const template = podTemplate({ name: 'job', ...APP, command: [], spec });
  await world.api.text('PATCH', namespace, { contentType: MERGE, body: { metadata: { labels: enforce } } });
  try {
    await world.api.text('POST', JOBS, {
      body: { metadata: { name: 'job' }, spec: { backoffLimit: 0, template } },
    });
    const ended = await waitUntil(
      'the Job ends',
      async () => {
        const { status } = await world.api.json<{ status: { succeeded?: number; failed?: number } }>(
          'GET',
          `${JOBS}/job`,
        );
        return (status.succeeded ?? 0) + (status.failed ?? 0) > 0 && status;
      },
      180_000,
    );
    if (ended.succeeded !== 1) throw new Error(await logsOfJob());
  } finally {
    const labels = { 'pod-security.kubernetes.io/enforce': null };
    await world.api.text('PATCH', namespace, { contentType: MERGE, body: { metadata: { labels } } });
  }
  const [pod] = await pods.withLabel('job-name=job');
  if (pod === undefined) throw new Error('the Job has no Pod');
  expect(JSON.parse(await pods.log(pod.metadata.name))).toEqual({ arn: sessionOf('app') });
  expect(pod.status.qosClass).toBe('Guaranteed');
  expect(stateOf(pod, UPDATE)?.terminated?.exitCode).toBe(0);
});

async function logsOfJob(): Promise<string> {
  const [pod] = await pods.withLabel('job-name=job');
  const logs = [GENERATE, UPDATE, 'main'].map((name) =>
    pods.log(pod?.metadata.name ?? '', name).catch(String),
  );
  return (await Promise.all(logs)).join('\n--\n');
}

test('the token is renewed under boto3, which notices nothing while the server is away', async () => {
  let told = 'go on';
  const [hostname = ''] = world.cluster.hostAddresses;
  using host = Bun.serve({ hostname, port: 0, fetch: () => new Response(told) });
  const linesWith = async (words: string) => {
    const log = await pods.log('long', UPDATE).catch(() => '');
    return log.split('\n').filter((line) => line.includes(words));
  };
  const written = () => linesWith('token file written');

  world.google.iam.idTokenSeconds = LIFE.short;
  await pods.create({
    ...APP,
    name: 'long',
    // the server has a token of the other for an hour
    serviceAccountName: 'long',
    command: [],
    spec: { containers: [main(`http://${hostname}:${host.port}/`)] },
  });
  await pods.running('long');
  await waitUntil('the token is renewed twice', async () => (await written()).length >= 2, 180_000);

  world.google.iam.idTokenSeconds = LIFE.long;
  await waitUntil(
    'a token with a longer life is there',
    async () => {
      const { time, expiresAt } = JSON.parse((await written()).at(-1) ?? '');
      return Date.parse(expiresAt) - Date.parse(time) > (LIFE.short + 10) * 1000;
    },
    180_000,
  );
  await world.setServerPresent(false);
  await waitUntil('no server runs', async () => (await world.serverPods()).length === 0);
  await waitUntil(
    'a renewal fails',
    async () => (await linesWith('cannot renew the token')).length > 0,
    180_000,
  );
  await world.setServerPresent(true);
  const renewed = (await written()).length;
  await waitUntil('the token is renewed', async () => (await written()).length > renewed, 180_000);
  expect(await linesWith('which has expired')).toEqual([]);

  told = 'end';
  await pods.succeeded('long');
  const seen = JSON.parse(await pods.log('long'));
  expect(seen).toMatchObject({ identities: { [sessionOf('long')]: expect.any(Number) }, failures: [] });
  // it may not have looked at the last one any more
  expect(seen.tokens).toBeGreaterThanOrEqual((await written()).length);
  world.google.iam.idTokenSeconds = 3600;
});

test('a Pod whose Google account is refused says so where people look', async () => {
  const email = 'stranger@node-project.iam.gserviceaccount.com';
  const annotations = { 'amazonaws.com/role-arn': `${ROLES}/app`, 'iam.gke.io/gcp-service-account': email };
  await world.api.text('POST', ACCOUNTS, { body: { metadata: { name: 'stranger', annotations } } });
  const spec = { containers: [main()] };
  await pods.create({ ...APP, name: 'refused', serviceAccountName: 'stranger', command: [], spec });
  const message = await waitUntil('the init container fails', async () => {
    const state = stateOf(await pods.get('refused'), GENERATE);
    return state?.terminated?.message;
  });
  expect(message).toMatch(/^the metadata server refused an ID token \(40[34]\): .*IAM returned 40[34]/);
  expect(message).toContain('explain NAMESPACE/POD');
});
