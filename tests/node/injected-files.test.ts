import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { applyPatch } from 'rfc6902';
import { mutatePod } from '../../server/admission/pod-mutation.ts';
import { INJECTION_SETTINGS } from '../../server/testing/injection-settings.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { Pods, podTemplate } from './pods.ts';

setDefaultTimeout(240_000);

const ACCOUNT = 'app';
const PROVIDER =
  'projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/this-cluster';
const ANNOTATIONS = {
  'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000000',
  'cloud.google.com/injection-mode': 'direct',
};
const SETTINGS = {
  ...INJECTION_SETTINGS,
  azure: {
    tenantID: '',
    authorityHost: 'https://login.microsoftonline.com/',
    audience: 'api://AzureADTokenExchange',
    customTokenEndpoint: undefined,
    credentials: 'TokenFile' as const,
  },
  externalAccount: {
    provider: { name: PROVIDER, audience: `//iam.googleapis.com/${PROVIDER}` },
    audience: '',
    tokenExpirationSeconds: 3600,
    stsEndpoint: 'https://sts.googleapis.com',
    iamCredentialsEndpoint: 'https://iamcredentials.googleapis.com',
    universeDomain: 'googleapis.com',
  },
};
/** Reads what the variables lead to, and writes where gcloud would. */
const LOOK = [
  'cat "$AZURE_FEDERATED_TOKEN_FILE" /var/run/secrets/sts.googleapis.com/serviceaccount/token > /dev/null',
  'touch "$CLOUDSDK_CONFIG/$(id -u)"',
  'cat "$GOOGLE_APPLICATION_CREDENTIALS"',
].join(' && ');

let cluster: Cluster;
let pods: Pods;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'node' });
  pods = new Pods(cluster.api);
  const body = { metadata: { name: ACCOUNT } };
  await cluster.api.text('POST', '/api/v1/namespaces/default/serviceaccounts', { body });
});
afterAll(() => cluster?.stop());

/** The Pod as the webhook leaves it. */
async function injected(object: ReturnType<typeof podTemplate>): Promise<unknown> {
  const namespace = 'default';
  const { name } = object.metadata;
  const username = 'somebody';
  const answer = await mutatePod(
    { uid: 'a', operation: 'CREATE', resource: 'pods', namespace, name, username, extra: new Map(), object },
    {
      random: Math.random,
      settings: SETTINGS,
      read: {
        namespace: async () => ({ name: namespace, labels: {}, annotations: {} }),
        serviceAccount: async (account) => ({ ...account, uid: 'any', annotations: ANNOTATIONS }),
        configMap: async () => undefined,
      },
    },
  );
  if (!answer.allowed) throw new Error(answer.message);
  const pod = structuredClone(object);
  applyPatch(pod, [...answer.patch]);
  return pod;
}

const user = (runAsUser: number) => ({ runAsUser, runAsGroup: runAsUser });

// without a user of the Pod or a group, the kubelet cannot know who reads: as of images that run as another than root
test.each<[string, object, object]>([
  ['root', {}, {}],
  ['any-user', user(1000), {}],
  ['user-of-the-pod', {}, { securityContext: user(1000) }],
  ['group-of-files', {}, { securityContext: { ...user(1000), fsGroup: 2000 } }],
])('%s can read what is injected, and write the state of gcloud', async (name, securityContext, spec) => {
  const template = podTemplate({
    name,
    serviceAccountName: ACCOUNT,
    labels: { 'azure.workload.identity/use': 'true' },
    command: ['sh', '-c', LOOK],
    securityContext: { ...securityContext },
    spec: { ...spec },
  });
  const [main] = template.spec.containers;
  // a second user, or the first would be that of the Pod
  const other = { ...main, name: 'other', securityContext: name === 'any-user' ? user(3000) : {} };
  const body = await injected({ ...template, spec: { ...template.spec, initContainers: [other] } as never });
  await cluster.api.text('POST', '/api/v1/namespaces/default/pods', { body });
  await pods.succeeded(name);
  expect(JSON.parse(await pods.log(name))).toMatchObject({ type: 'external_account' });
});
