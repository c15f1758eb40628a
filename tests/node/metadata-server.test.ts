import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { Cache } from '../../scripts/tools/cache.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import {
  METADATA_CLIENT,
  NODE_CLIENT,
  otherCloudsArchive,
  otherCloudsImage,
  printedBy,
} from './other-clouds-image.ts';
import { INJECTED, type PodOptions, Pods, podTemplate } from './pods.ts';

setDefaultTimeout(240_000);

const MODE = 'gke-metadata-server.matheuscscp.io/mode';

interface Identity {
  readonly identity?: string;
  readonly error?: string;
}
type Seen = Readonly<Record<'aws' | 'azure' | 'google', Identity>>;

let world: NodeWorld;
let pods: Pods;
let clientID: string;
let email: string;

/** All three clouds by the metadata server, as the module installs it with its policies. */
beforeAll(async () => {
  const image = otherCloudsArchive(new Cache());
  world = await NodeWorld.start({ cloudsSpeakHTTPS: false });
  pods = new Pods(world.api);
  const { clouds } = world;
  email = world.addGoogleAccount('app');
  clientID = clouds.addManagedIdentity('app');
  await addAccount('app', {
    'iam.gke.io/gcp-service-account': email,
    'eks.amazonaws.com/role-arn': clouds.addRole('app'),
    'azure.workload.identity/client-id': clientID,
  });
  await addAccount('agent', {
    'eks.amazonaws.com/role-arn': clouds.addRole('agent'),
    'gke-metadata-server.matheuscscp.io/aws-pod-identity': 'true',
  });
  await addAccount('nobody', {});
  await world.install({
    aws: {
      enabled: true,
      credentials: 'MetadataServer',
      region: 'eu-west-1',
      stsEndpoint: clouds.aws.url,
      podIdentity: { enabled: true },
    },
    azure: {
      enabled: true,
      credentials: 'MetadataServer',
      tenantID: clouds.tenantID,
      authorityHost: clouds.entra.url,
    },
  });
  await world.cluster.loadImage(await image);
  await waitUntil('the webhook leads all SDKs to the server', async () => {
    const template = podTemplate({ ...podOf('app', 'Environment'), name: 'asks', command: ['true'] });
    const made = await world.api.json<{ spec: { containers: { env?: { name: string }[] }[] } }>(
      'POST',
      '/api/v1/namespaces/default/pods?dryRun=All',
      { body: template },
    );
    const names = made.spec.containers[0]?.env?.map(({ name }) => name) ?? [];
    return ['AWS_EC2_METADATA_SERVICE_ENDPOINT', 'AZURE_POD_IDENTITY_AUTHORITY_HOST'].every((name) =>
      names.includes(name),
    );
  });
}, 600_000);
afterAll(() => world?.[Symbol.asyncDispose]());

async function addAccount(name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
  const path = '/api/v1/namespaces/default/serviceaccounts';
  await world.api.text('POST', path, { body: { metadata: { name, annotations } } });
}

/** A Pod with a route to the server; all it knows of a cloud is where STS is in this test. */
function podOf(serviceAccountName: string, mode: string): Omit<PodOptions, 'name' | 'command'> {
  return {
    serviceAccountName,
    image: otherCloudsImage,
    labels: INJECTED,
    annotations: { [MODE]: mode },
    env: { AWS_ENDPOINT_URL_STS: world.clouds.aws.url },
  };
}

async function look(serviceAccountName: string, mode: string, clouds: string): Promise<Seen> {
  const log = await pods.run({
    ...podOf(serviceAccountName, mode),
    name: `${serviceAccountName}-${clouds}-${mode}`.toLowerCase().replaceAll(',', '-'),
    command: [...METADATA_CLIENT, clouds],
  });
  return printedBy<Seen>(log);
}

const ARN = 'arn:aws:sts::111122223333:assumed-role/app/default.app';
const MODES = ['Redirect', 'Environment'] as const;

test.each(MODES)('%s: boto3 has the role of its ServiceAccount', async (mode) => {
  expect((await look('app', mode, 'aws')).aws).toMatchObject({ identity: ARN });
});

test.each(MODES)('%s: azure-identity has the identity of its ServiceAccount', async (mode) => {
  const { azure } = await look('app', mode, 'azure');
  const { entra, tenantID } = world.clouds;
  expect(azure.error).toBeUndefined();
  expect(await entra.describe(azure.identity ?? '')).toMatchObject({ tenantID, clientID });
});

test.each(MODES)('%s: one process is somebody in all three clouds', async (mode) => {
  const { aws, azure, google } = await look('app', mode, 'aws,azure,google');
  expect([aws.error, azure.error, google.error]).toEqual([undefined, undefined, undefined]);
  expect(aws.identity).toBe(ARN);
  expect(await world.clouds.entra.describe(azure.identity ?? '')).toMatchObject({ clientID });
  expect(world.accountOf(google.identity ?? '')).toBe(email);
});

test('EKS Pod Identity: boto3 has its role from the address of the agent, which leads to the server', async () => {
  const log = await pods.run({
    ...podOf('agent', 'Redirect'),
    name: 'pod-identity',
    // EC2's protocol would give the same role
    env: { AWS_ENDPOINT_URL_STS: world.clouds.aws.url, AWS_EC2_METADATA_DISABLED: 'true' },
    command: [...METADATA_CLIENT, 'aws'],
  });
  const { aws } = printedBy<Seen>(log);
  expect(aws).toMatchObject({ identity: 'arn:aws:sts::111122223333:assumed-role/agent/default.agent' });
});

test('EKS Pod Identity: the AWS SDK for JavaScript, too', async () => {
  const log = await pods.run({
    ...podOf('agent', 'Redirect'),
    name: 'pod-identity-node',
    env: { AWS_ENDPOINT_URL_STS: world.clouds.aws.url, AWS_EC2_METADATA_DISABLED: 'true' },
    command: [...NODE_CLIENT, 'aws-caller'],
  });
  expect(printedBy<{ arn: string }>(log).arn).toBe(
    'arn:aws:sts::111122223333:assumed-role/agent/default.agent',
  );
});

test('a Pod whose ServiceAccount has no annotation is nobody in AWS and Azure', async () => {
  const { aws, azure } = await look('nobody', 'Redirect', 'aws,azure');
  expect(aws.error).toContain('Unable to locate credentials');
  expect(azure.error).toContain('Identity not found');
});
