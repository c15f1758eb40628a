import { expect, test } from 'bun:test';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { startSandboxWorld } from './sandbox-world.ts';

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
