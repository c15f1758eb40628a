import { expect, test } from 'bun:test';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import type { Inhabitant } from './inhabitants.ts';
import { type SandboxWorld, startSandboxWorld } from './sandbox-world.ts';

test('the official client reads the kubeconfig and finds the Node’s Pods', async () => {
  await using world = await startSandboxWorld();
  const config = new KubeConfig();
  config.loadFromString(world.kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  const { items } = await api.listPodForAllNamespaces({ fieldSelector: `spec.nodeName=${world.nodeName}` });
  const pods = items.map(({ metadata, spec, status }) => [
    metadata?.name,
    status?.podIP,
    spec?.serviceAccountName,
    spec?.hostNetwork === true,
  ]);
  expect(pods).toEqual(
    world.inhabitants.map(({ name, address, serviceAccountName }) => [
      name,
      address,
      serviceAccountName,
      name === 'node',
    ]),
  );
});

test('every inhabitant has its ServiceAccount, annotated or not, and no address twice', async () => {
  await using world = await startSandboxWorld();
  for (const { namespace, serviceAccountName, googleAccount } of world.inhabitants) {
    const account = world.kubernetes.get('ServiceAccount', namespace, serviceAccountName);
    expect(account?.metadata.annotations?.['iam.gke.io/gcp-service-account']).toBe(googleAccount);
  }
  expect(new Set(world.inhabitants.map(({ address }) => address)).size).toBe(world.inhabitants.length);
});

test('Google lets all but the denied one use their accounts', async () => {
  await using world = await startSandboxWorld();
  const { serviceAccounts } = world.google;
  const permitted = world.inhabitants.flatMap(({ name, namespace, serviceAccountName, googleAccount }) => {
    if (googleAccount === undefined) return [];
    const member =
      'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool' +
      `/subject/system:serviceaccount:${namespace}:${serviceAccountName}`;
    return [[name, serviceAccounts.permits(googleAccount, 'iam.serviceAccounts.getAccessToken', [member])]];
  });
  expect(permitted).toEqual([
    ['annotated', true],
    ['denied', false],
    ['node', true],
  ]);
});

/** What STS makes of a token of this inhabitant: the assumed role, or the error's code. */
async function assumeRole({ aws }: SandboxWorld, { awsRole = '' }: Inhabitant, token: string) {
  const response = await fetch(aws.url, {
    method: 'POST',
    body: new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: awsRole,
      RoleSessionName: 'test',
      WebIdentityToken: token,
    }),
  });
  const { text } = /<(?:Arn|Code)>(?<text>[^<]+)/.exec(await response.text())?.groups ?? {};
  return text;
}

const ASSUMED = 'arn:aws:sts::111122223333:assumed-role';

test('AWS lets all but the denied one assume their roles, with a token of the cluster', async () => {
  await using world = await startSandboxWorld();
  const outcomes = world.inhabitants.map(async (inhabitant) => {
    const { name, namespace, serviceAccountName, awsRole } = inhabitant;
    if (awsRole === undefined) return [name, 'has no role'];
    const account = { namespace, name: serviceAccountName };
    const token = await world.kubernetes.projectedToken(account, 'sts.amazonaws.com');
    return [name, await assumeRole(world, inhabitant, token)];
  });
  expect(await Promise.all(outcomes)).toEqual([
    ['annotated', `${ASSUMED}/reader/test`],
    ['direct', 'has no role'],
    ['denied', 'AccessDenied'],
    ['node', `${ASSUMED}/node/test`],
  ]);
});

test('AWS lets the Google account of annotated assume its role, and nobody else’s', async () => {
  await using world = await startSandboxWorld();
  const [annotated, , , node] = world.inhabitants;
  if (annotated === undefined || node === undefined) throw new Error('nobody there');
  const { serviceAccounts, iam } = world.google;
  const email = annotated.googleAccount ?? '';
  serviceAccounts.bind(email, 'roles/iam.serviceAccountOpenIdTokenCreator', `serviceAccount:${email}`);
  const caller = {
    principal: { kind: 'service-account', member: `serviceAccount:${email}`, memberOf: [] },
    scopes: ['https://www.googleapis.com/auth/cloud-platform'],
    expiresAt: Number.POSITIVE_INFINITY,
  } as const;
  const { token } = await iam.generateIdToken(caller, email, { audience: 'any' });
  expect(await assumeRole(world, annotated, token)).toBe(`${ASSUMED}/reader/test`);
  expect(await assumeRole(world, node, token)).toBe('AccessDenied');
});

test('Entra lets all but the denied one be their identities', async () => {
  await using world = await startSandboxWorld();
  const outcomes = world.inhabitants.map(async (inhabitant) => {
    const { name, namespace, serviceAccountName, azureClientID } = inhabitant;
    if (azureClientID === undefined) return [name, 'has no identity'];
    const account = { namespace, name: serviceAccountName };
    const response = await fetch(`${world.entra.url}/${world.azureTenantID}/oauth2/v2.0/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: azureClientID,
        scope: 'https://vault.azure.net/.default',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await world.kubernetes.projectedToken(account, 'api://AzureADTokenExchange'),
      }),
    });
    return [name, response.status];
  });
  expect(await Promise.all(outcomes)).toEqual([
    ['annotated', 200],
    ['direct', 'has no identity'],
    ['denied', 401],
    ['node', 200],
  ]);
});
