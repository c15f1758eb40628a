import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { comparable } from './golden-cases.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const ROLE = 'arn:aws:iam::111122223333:role/s3-reader';
const ROLE_ANNOTATION = 'eks.amazonaws.com/role-arn';
const POD_IDENTITY = 'gke-metadata-server.matheuscscp.io/aws-pod-identity';
const ROLES = 'roles-of-pods';

const REGION = [
  { name: 'AWS_DEFAULT_REGION', value: 'eu-central-1' },
  { name: 'AWS_REGION', value: 'eu-central-1' },
];
const MOUNT = '/var/run/secrets/eks.amazonaws.com/serviceaccount';
const IRSA = {
  env: [
    ...REGION,
    { name: 'AWS_ROLE_ARN', value: ROLE },
    { name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: `${MOUNT}/token` },
  ],
  volumeMounts: [{ name: 'aws-iam-token', mountPath: MOUNT, readOnly: true }],
};
const POD_IDENTITY_MOUNT = '/var/run/secrets/pods.eks.amazonaws.com/serviceaccount';
const EKS_POD_IDENTITY = {
  env: [
    ...REGION,
    { name: 'AWS_CONTAINER_CREDENTIALS_FULL_URI', value: 'http://169.254.170.23/v1/credentials' },
    {
      name: 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
      value: `${POD_IDENTITY_MOUNT}/eks-pod-identity-token`,
    },
  ],
  volumeMounts: [{ name: 'eks-pod-identity-token', mountPath: POD_IDENTITY_MOUNT, readOnly: true }],
};

/** A volume with a token. */
const tokenVolume = (name: string, token: object) => ({
  name,
  projected: { sources: [{ serviceAccountToken: token }] },
});
const IRSA_VOLUME = tokenVolume('aws-iam-token', {
  audience: 'sts.amazonaws.com',
  expirationSeconds: 86_400,
  path: 'token',
});

let cluster: Cluster;
let injecting: InjectingWebhook;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  const name = `gms-${crypto.randomUUID().slice(0, 8)}`;
  await cluster.api.text('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  injecting = await InjectingWebhook.start(cluster, {
    values: {
      aws: {
        enabled: true,
        region: 'eu-central-1',
        configMap: { namespace: name, name: ROLES },
        podIdentity: { enabled: true },
      },
    },
  });
  await setRoles(name, {});
  rolesNamespace = name;
  await injecting.register();
  const namespace = await withAccount();
  await waitUntil(
    'the webhook may read',
    async () => (await injecting.create(namespace, pod())).status === 201,
  );
}, longest);
afterAll(async () => {
  await injecting?.world.api.fetch('DELETE', `/api/v1/namespaces/${rolesNamespace}`);
  await injecting?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

let rolesNamespace: string;

/** Makes the ConfigMap of roles, or changes it. */
async function setRoles(namespace: string, roles: object): Promise<void> {
  const { api } = injecting.world;
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const body = { metadata: { name: ROLES }, data: { config: JSON.stringify(roles) } };
  const made = await api.fetch('POST', path, { body });
  if (!made.ok) await api.text('PUT', `${path}/${ROLES}`, { body });
}

interface ServiceAccountOptions {
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A Namespace whose ServiceAccount `app` was made just now. */
async function withAccount({ annotations = {} }: ServiceAccountOptions = {}): Promise<string> {
  const namespace = await injecting.addNamespace();
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await injecting.world.api.text('POST', path, { body: { metadata: { name: 'app', annotations } } });
  return namespace;
}

const main = { name: 'main', image: 'none' };
const pod = (metadata: object = {}, spec: object = {}) => ({
  metadata: { name: 'app', ...metadata },
  spec: { serviceAccountName: 'app', automountServiceAccountToken: false, containers: [main], ...spec },
});

/** The environment of a container, its mounts and the volumes of the Pod, as the API server would store them. */
async function created(namespace: string, manifest: unknown) {
  const creation = await injecting.create(namespace, manifest);
  expect([creation.status, creation.message]).toEqual([201, undefined]);
  return creation;
}

test('a role of a ServiceAccount that was made a moment ago reaches all containers of its Pod', async () => {
  const namespace = await withAccount({ annotations: { [ROLE_ANNOTATION]: ROLE } });
  const manifest = pod(
    {},
    {
      containers: [main, { ...main, name: 'second', env: [{ name: 'AWS_REGION', value: 'us-east-1' }] }],
      initContainers: [
        { ...main, name: 'first' },
        { ...main, name: 'sidecar', restartPolicy: 'Always', startupProbe: { exec: { command: ['true'] } } },
      ],
      volumes: [{ name: 'data', emptyDir: {} }],
    },
  );
  const creation = await created(namespace, manifest);
  const withoutRegion = IRSA.env.slice(REGION.length);
  expect<unknown>(creation.pod.spec).toMatchObject({
    containers: [
      { name: 'main', ...IRSA },
      { name: 'second', ...IRSA, env: [{ name: 'AWS_REGION', value: 'us-east-1' }, ...withoutRegion] },
    ],
    initContainers: [
      { name: 'first', ...IRSA },
      { name: 'sidecar', restartPolicy: 'Always', startupProbe: { exec: { command: ['true'] } }, ...IRSA },
    ],
    volumes: [IRSA_VOLUME, { name: 'data' }],
  });
  expect(creation.warnings).toEqual([]);
  // copied from a live Pod
  expect(comparable(await created(namespace, creation.pod))).toEqual(comparable(creation));
});

test('EKS Pod Identity comes before the role, with its label and an expiration of its own', async () => {
  const annotations = { [ROLE_ANNOTATION]: ROLE, [POD_IDENTITY]: 'true' };
  const namespace = await withAccount({ annotations });
  const creation = await created(namespace, pod({ labels: { app: 'app' } }));
  const token = { audience: 'pods.eks.amazonaws.com', path: 'eks-pod-identity-token' };
  expect<unknown>(creation.pod).toMatchObject({
    metadata: { labels: { app: 'app', 'eks.amazonaws.com/pod-identity': 'enabled' } },
    spec: {
      containers: [{ name: 'main', ...EKS_POD_IDENTITY }],
      volumes: [tokenVolume('eks-pod-identity-token', token)],
    },
  });
  expect(expirationOf(creation.pod)).toBeWithin(79_200, 86_401);
  expect(comparable(await created(namespace, creation.pod))).toEqual(comparable(creation));
});

/** Of the token in the first volume. */
function expirationOf({ spec }: object & { readonly spec: object }): number | undefined {
  const { volumes } = spec as { volumes?: readonly ReturnType<typeof tokenVolume>[] };
  const token = volumes?.[0]?.projected.sources[0]?.serviceAccountToken;
  return (token as { expirationSeconds?: number } | undefined)?.expirationSeconds;
}

test('a role of the ConfigMap is that of the moment', async () => {
  const namespace = await withAccount();
  const bare = await created(namespace, pod());
  expect(bare.pod.spec.containers[0]?.env).toBeUndefined();
  await setRoles(rolesNamespace, { [`${namespace}/app`]: { RoleARN: ROLE } });
  const mapped = await created(namespace, pod());
  expect<unknown>(mapped.pod.spec).toMatchObject({ containers: [IRSA], volumes: [IRSA_VOLUME] });
  await setRoles(rolesNamespace, { '*/app': { RoleARN: 'role/app' } });
  const refused = await injecting.create(namespace, pod());
  expect([refused.status, refused.message]).toEqual([
    403,
    expect.stringContaining(`RoleARN of */app of ConfigMap ${rolesNamespace}/${ROLES} is "role/app": set it`),
  ]);
});

test('an invalid annotation refuses the Pod, with its value and what to set it to', async () => {
  const namespace = await withAccount({ annotations: { [ROLE_ANNOTATION]: 's3-reader' } });
  const { status, message } = await injecting.create(namespace, pod());
  expect([status, message]).toEqual([
    403,
    expect.stringContaining(
      `the annotation ${ROLE_ANNOTATION} of ServiceAccount ${namespace}/app is "s3-reader": set it to an ARN`,
    ),
  ]);
});

test('a Pod that opts out stays as it is, and a container that is skipped', async () => {
  const namespace = await withAccount({ annotations: { [ROLE_ANNOTATION]: ROLE } });
  const optOut = pod({ labels: { 'eks.amazonaws.com/skip-pod-identity-webhook': '' } });
  expect((await created(namespace, optOut)).pod.spec).not.toHaveProperty('volumes');
  const annotations = { 'eks.amazonaws.com/skip-containers': 'proxy' };
  const containers = [main, { ...main, name: 'proxy' }];
  const skipped = await created(namespace, pod({ annotations }, { containers }));
  expect<unknown>(skipped.pod.spec.containers).toMatchObject([IRSA, { name: 'proxy' }]);
  expect(skipped.pod.spec.containers[1]).not.toHaveProperty('env');
});

test('a container that comes with a variable of the other kind keeps what it has, with a warning', async () => {
  const namespace = await withAccount({ annotations: { [POD_IDENTITY]: 'true' } });
  const own = { ...main, env: [{ name: 'AWS_ROLE_ARN', value: ROLE }] };
  const { pod: stored, warnings } = await created(namespace, pod({}, { containers: [own] }));
  expect(stored.spec.containers[0]?.env).toEqual(own.env);
  expect(warnings).toEqual([
    'container main does not get EKS Pod Identity: it sets AWS_ROLE_ARN',
    'no container of the Pod gets EKS Pod Identity',
  ]);
});
