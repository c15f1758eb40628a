import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { Cache } from '../../scripts/tools/cache.ts';
import { clientsArchive, clientsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import {
  NODE_CLIENT,
  otherCloudsArchive,
  otherCloudsImage,
  PYTHON_CLIENT,
  printedBy,
} from './other-clouds-image.ts';
import { INJECTED, type PodOptions, Pods, podTemplate } from './pods.ts';

setDefaultTimeout(240_000);

const AZURE = { 'azure.workload.identity/use': 'true' };
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const TOKEN = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token';
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only';
const CREDENTIAL_FILE_CLIENT = join(import.meta.dir, '../clients/external-account/client.py');

let world: NodeWorld;
let pods: Pods;
let clientID: string;
let email: string;

/** Pods as people write them: what the clouds' own webhooks would inject is injected here. */
beforeAll(async () => {
  const cache = new Cache();
  const images = [otherCloudsArchive(cache), clientsArchive(cache)];
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  const { clouds } = world;
  email = world.addGoogleAccount('app');
  clientID = clouds.addManagedIdentity('app');
  const role = clouds.addRole('app');
  await addAccount('app', {
    'iam.gke.io/gcp-service-account': email,
    'eks.amazonaws.com/role-arn': role,
    'azure.workload.identity/client-id': clientID,
    'cloud.google.com/injection-mode': 'direct',
    'cloud.google.com/service-account-email': email,
  });
  // wants to be what only the other may be
  await addAccount('stranger', {
    'eks.amazonaws.com/role-arn': role,
    'azure.workload.identity/client-id': clientID,
  });
  await world.install({
    aws: { enabled: true, region: 'eu-west-1' },
    azure: { enabled: true, tenantID: clouds.tenantID },
    externalAccount: { enabled: true },
  });
  for (const image of images) await world.cluster.loadImage(await image);
  await waitUntil('the webhook injects all of them', async () => {
    const body = podTemplate({ ...podOf('app'), name: 'asks', command: ['true'] });
    const made = await world.api.json<{ spec: { volumes?: unknown[] } }>(
      'POST',
      '/api/v1/namespaces/default/pods?dryRun=All',
      { body },
    );
    // its own, AWS's and Azure's tokens, and Google's file
    return (made.spec.volumes?.length ?? 0) >= 4;
  });
}, 600_000);
afterAll(() => world?.[Symbol.asyncDispose]());

async function addAccount(name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
  await world.api.text('POST', ACCOUNTS, { body: { metadata: { name, annotations } } });
}

/** A Pod that only knows the addresses of its clouds in this test. */
function podOf(serviceAccountName: string): Omit<PodOptions, 'name' | 'command'> {
  return { serviceAccountName, image: otherCloudsImage, labels: AZURE, ...world.clouds.reach };
}

/** What a client prints in a Pod of that ServiceAccount. */
async function look(
  name: string,
  serviceAccountName: string,
  command: readonly string[],
): Promise<{ readonly arn?: string; readonly token?: string; readonly error?: string }> {
  const log = await pods.run({ ...podOf(serviceAccountName), name, command });
  // a library may warn of something before
  return printedBy(log);
}

const CLIENTS: readonly { name: string; client: readonly string[] }[] = [
  { name: 'python', client: PYTHON_CLIENT },
  { name: 'node', client: NODE_CLIENT },
];

test.each(CLIENTS)(
  'IRSA: the SDK of $name assumes the role of its ServiceAccount',
  async ({ name, client }) => {
    const { arn } = await look(`aws-${name}`, 'app', [...client, 'aws-caller']);
    expect(arn).toStartWith(`arn:aws:sts::${world.clouds.accountID}:assumed-role/app/`);
  },
);

test('IRSA: the AWS CLI does, too', async () => {
  const command = ['python3', '-m', 'awscli', 'sts', 'get-caller-identity'];
  const log = await pods.run({ ...podOf('app'), name: 'aws-cli', command });
  expect(JSON.parse(log)).toMatchObject({ Account: world.clouds.accountID });
});

test('IRSA: a role that does not trust the ServiceAccount is denied by STS', async () => {
  const { error } = await look('aws-stranger', 'stranger', [...PYTHON_CLIENT, 'aws-caller']);
  expect(error).toContain('Not authorized to perform sts:AssumeRoleWithWebIdentity');
});

test.each(CLIENTS)(
  'Azure: WorkloadIdentityCredential of $name is the identity of its ServiceAccount',
  async ({ name, client }) => {
    const { token = '' } = await look(`azure-${name}`, 'app', [...client, 'azure-workload']);
    const { tenantID, entra } = world.clouds;
    expect(await entra.describe(token)).toMatchObject({ tenantID, clientID });
  },
);

test('Azure: an identity that does not federate with the ServiceAccount is denied by Entra', async () => {
  const { error } = await look('azure-stranger', 'stranger', [...PYTHON_CLIENT, 'azure-workload']);
  expect(error).toContain('AADSTS700213');
  expect(error).toContain('system:serviceaccount:default:stranger');
});

test('Google external account: google-auth finds the file, and is the account', async () => {
  const program = await Bun.file(CREDENTIAL_FILE_CLIENT).text();
  const log = await pods.run({
    name: 'external-account',
    serviceAccountName: 'app',
    image: clientsImage,
    labels: {},
    // it would ask Google for the project's name
    env: { GOOGLE_CLOUD_PROJECT: 'node-project' },
    command: ['python3', '-c', program, SCOPE],
  });
  const { kind, accessToken } = printedBy<{ kind: string; accessToken: string }>(log);
  expect(kind).toBe('google.auth.identity_pool');
  expect(world.accountOf(accessToken)).toBe(email);
});

test('one Pod has all of them at once, and the metadata server', async () => {
  const clients = [`${PYTHON_CLIENT.join(' ')} aws-caller`, `${NODE_CLIENT.join(' ')} azure-workload`];
  const file = 'test -s "$GOOGLE_APPLICATION_CREDENTIALS"';
  const curl = `curl --silent --show-error --fail --header Metadata-Flavor:Google ${TOKEN}`;
  const log = await pods.run({
    ...podOf('app'),
    name: 'all',
    labels: { ...AZURE, ...INJECTED },
    command: ['/bin/sh', '-c', [...clients, file, curl].join(' && echo && ')],
  });
  const [aws, azure, google] = log
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? JSON.parse(line) : []));
  expect(aws.arn).toContain(':assumed-role/app/');
  expect(await world.clouds.entra.describe(azure.token)).toMatchObject({ clientID });
  expect(world.accountOf(google.access_token)).toBe(email);
});
