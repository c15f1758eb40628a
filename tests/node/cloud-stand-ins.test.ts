import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { Cache } from '../../scripts/tools/cache.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { cloudClientsArchive, cloudClientsImage, NODE_CLIENT, PYTHON_CLIENT } from './cloud-clients-image.ts';
import { CloudStandIns } from './cloud-stand-ins.ts';
import { type PodOptions, Pods } from './pods.ts';

setDefaultTimeout(300_000);

/** The stand-ins by themselves: Pods written by hand as the webhooks of AWS and Azure would leave them. */
let cluster: Cluster;
let clouds: CloudStandIns;
let pods: Pods;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  const image = await cloudClientsArchive(new Cache());
  cluster = stack.use(await startCluster({ mode: 'node' }));
  const { api } = cluster;
  const [hostname = ''] = cluster.hostAddresses;
  const google = stack.use(await new StandInGoogle({ hostname }).start());
  const { issuer } = await api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
  const jwks = await api.json<StandInGoogle['jwks']>('GET', '/openid/v1/jwks');
  clouds = stack.use(await CloudStandIns.start(hostname, { issuer, jwks }, google));
  pods = new Pods(api);
  await clouds.publishAuthority(api);
  await api.text('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'robot' } },
  });
  await cluster.loadImage(image);
}, 600_000);
afterAll(() => stack.disposeAsync());

/** A Pod of `robot` with its token for that audience, and these variables. */
function podWithToken(audience: string, env: Record<string, string>): Omit<PodOptions, 'name' | 'command'> {
  const { reach } = clouds;
  const source = { serviceAccountToken: { audience, expirationSeconds: 600, path: 'token' } };
  return {
    serviceAccountName: 'robot',
    image: cloudClientsImage,
    labels: {},
    env: { ...reach.env, ...env },
    volumes: [...(reach.volumes ?? []), { name: 'token', projected: { sources: [source] } }],
    volumeMounts: [...(reach.volumeMounts ?? []), { name: 'token', mountPath: '/token', readOnly: true }],
  };
}

const CLIENTS = [
  ['python', PYTHON_CLIENT],
  ['node', NODE_CLIENT],
] as const;

test.each(CLIENTS)('AWS, from a Pod, by %s', async (name, client) => {
  const env = {
    AWS_ROLE_ARN: clouds.addRole('robot'),
    AWS_WEB_IDENTITY_TOKEN_FILE: '/token/token',
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
  };
  const pod = podWithToken('sts.amazonaws.com', env);
  const log = await pods.run({ ...pod, name: `aws-${name}`, command: [...client, 'aws-caller'] });
  expect(log).toContain('"arn:aws:sts::111122223333:assumed-role/robot/');
});

test.each(CLIENTS)('Entra, from a Pod, by %s', async (name, client) => {
  const clientID = clouds.addManagedIdentity('robot');
  const env = {
    AZURE_CLIENT_ID: clientID,
    AZURE_TENANT_ID: clouds.tenantID,
    AZURE_FEDERATED_TOKEN_FILE: '/token/token',
    // as their webhook sets it
    AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
  };
  const pod = podWithToken('api://AzureADTokenExchange', env);
  const log = await pods.run({ ...pod, name: `azure-${name}`, command: [...client, 'azure-workload'] });
  const { token } = JSON.parse(log.slice(log.indexOf('{')));
  expect(await clouds.entra.describe(token)).toMatchObject({ tenantID: clouds.tenantID, clientID });
});
