import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { ModuleValues } from '../../scripts/module/render.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { metric } from '../metrics.ts';
import { WebhookCertificate } from '../webhook-process.ts';
import { type Creation, InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const OPT_IN = 'gke-metadata-server.matheuscscp.io/webhook';
const KUBE_SYSTEM = 'kube-system';
const ROLE = 'arn:aws:iam::111122223333:role/app';

/** How Pods ask for each kind, and a variable, mount or container that shows that a Pod got it. */
const KINDS = {
  google: { labels: { [OPT_IN]: 'Mutate' }, annotations: {}, shows: 'init-network' },
  aws: { labels: {}, annotations: { 'eks.amazonaws.com/role-arn': ROLE }, shows: 'aws-iam-token' },
  'aws-pod-identity': {
    labels: {},
    annotations: { 'gke-metadata-server.matheuscscp.io/aws-pod-identity': 'true' },
    shows: 'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  },
  azure: {
    labels: { 'azure.workload.identity/use': 'true' },
    annotations: { 'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000001' },
    shows: 'AZURE_FEDERATED_TOKEN_FILE',
  },
  'google-to-aws': {
    labels: { 'admission.token-injector/enabled': 'true' },
    annotations: {
      'amazonaws.com/role-arn': ROLE,
      'iam.gke.io/gcp-service-account': 'app@my-project.iam.gserviceaccount.com',
    },
    shows: 'update-gcp-id-token',
  },
  'external-account': {
    labels: {},
    annotations: { 'cloud.google.com/injection-mode': 'direct' },
    shows: 'GOOGLE_APPLICATION_CREDENTIALS',
  },
} as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[]; // of the table above

const everything = {
  aws: {
    enabled: true,
    configMap: { name: 'roles', namespace: 'default' },
    podIdentity: { enabled: true, configMap: { name: 'associations', namespace: 'default' } },
  },
  azure: { enabled: true, tenantID: '00000000-0000-0000-0000-000000000002' },
  googleToAws: { enabled: true },
  externalAccount: { enabled: true },
} satisfies ModuleValues;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
}, longest);
afterAll(() => cluster?.stop());

/** With these values, and the webhook's permissions and settings as the module has them; the API server asks it. */
async function install(values: ModuleValues): Promise<InjectingWebhook> {
  const injecting = await InjectingWebhook.start(cluster, { values });
  try {
    await injecting.register();
    return injecting;
  } catch (error) {
    await injecting[Symbol.asyncDispose]();
    throw error;
  }
}

const main = { name: 'main', image: 'none' };

/** A Namespace with the ServiceAccount `app`. */
async function addAccount(
  injecting: InjectingWebhook,
  annotations: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = {},
): Promise<string> {
  const namespace = await injecting.addNamespace({ labels });
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await injecting.world.api.text('POST', path, { body: { metadata: { name: 'app', annotations } } });
  return namespace;
}

const podOf = (labels: Readonly<Record<string, string>> = {}, spec: object = {}) => ({
  metadata: { name: 'app', labels },
  spec: { serviceAccountName: 'app', automountServiceAccountToken: false, containers: [main], ...spec },
});

/** The kinds that a Pod got, as its containers show. */
function got({ pod }: Creation, container = 'main'): readonly Kind[] {
  const { containers, initContainers = [] } = pod.spec;
  const { env = [], volumeMounts = [] } = containers.find(({ name }) => name === container) ?? {};
  const seen = [...env, ...volumeMounts, ...initContainers].map(({ name }) => name);
  return kinds.filter((kind) => seen.includes(KINDS[kind].shows));
}

/** A Pod that is created, with how often the webhook was asked about it and the kinds that it counted. */
async function create(injecting: InjectingWebhook, namespace: string, pod: object) {
  const { healthPort } = injecting.webhook.only;
  const counts = () =>
    Promise.all(
      kinds.map((kind) => metric(healthPort, 'gke_metadata_server_webhook_injections_total', { kind })),
    );
  const [reviews, before] = [await injecting.reviews(), await counts()];
  const creation = await injecting.create(namespace, pod);
  const after = await counts();
  return {
    creation,
    reviews: (await injecting.reviews()) - reviews,
    counted: kinds.filter((_, index) => after[index] !== before[index]),
  };
}

test(
  'with everything on: each kind alone, all on one Pod, and by ConfigMap; once each, with no permission missing',
  async () => {
    await using injecting = await install(everything);
    const { world } = injecting;
    const seen: unknown[] = [];
    for (const kind of kinds) {
      const { labels, annotations } = KINDS[kind];
      const namespace = await addAccount(injecting, annotations);
      const { creation, reviews, counted } = await create(injecting, namespace, podOf(labels));
      seen.push([kind, creation.status, creation.message, got(creation), reviews, counted]);
    }
    expect(seen).toEqual(kinds.map((kind) => [kind, 201, undefined, [kind], 1, [kind]]));

    // a container has one kind of AWS credentials
    const ofAws: readonly Kind[] = ['aws', 'aws-pod-identity', 'google-to-aws'];
    for (const only of ofAws) {
      const all = kinds.filter((kind) => kind === only || !ofAws.includes(kind));
      const asked = all.map((kind) => KINDS[kind]);
      const namespace = await addAccount(
        injecting,
        Object.assign({}, ...asked.map((one) => one.annotations)),
      );
      const spec = {
        containers: [main, { ...main, name: 'second' }],
        initContainers: [{ ...main, name: 'sidecar', restartPolicy: 'Always' }],
      };
      const labels = Object.assign({}, ...asked.map((one) => one.labels));
      const { creation, reviews, counted } = await create(injecting, namespace, podOf(labels, spec));
      expect([creation.status, creation.message]).toEqual([201, undefined]);
      expect([got(creation), got(creation, 'second'), counted, reviews]).toEqual([all, all, all, 1]);
      for (const { name, env = [] } of creation.pod.spec.containers) {
        const names = env.map((variable) => variable.name);
        expect([name, names]).toEqual([name, [...new Set(names)]]);
      }
      const tokenFiles = only === 'google-to-aws' ? ['generate-gcp-id-token', 'update-gcp-id-token'] : [];
      const inOrder = creation.pod.spec.initContainers?.map(({ name }) => name);
      expect(inOrder).toEqual(['init-network', ...tokenFiles, 'sidecar']);
    }

    // in a ServiceAccount that asks for nothing: by the ConfigMaps, which may be made later
    const unannotated = await addAccount(injecting, {});
    expect(got((await create(injecting, unannotated, podOf())).creation)).toEqual([]);
    const identities = [{ namespace: unannotated, serviceAccount: 'other' }];
    for (const [name, config] of Object.entries({
      roles: { '*/app': { RoleARN: ROLE }, [`${unannotated}/other`]: { RoleARN: ROLE } },
      associations: { identities },
    })) {
      await world.apply({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'default' },
        data: { config: JSON.stringify(config) },
      });
    }
    const accounts = `/api/v1/namespaces/${unannotated}/serviceaccounts`;
    await world.api.text('POST', accounts, { body: { metadata: { name: 'other' } } });
    expect(got((await create(injecting, unannotated, podOf())).creation)).toEqual(['aws']);
    const other = podOf({}, { serviceAccountName: 'other' });
    expect(got((await create(injecting, unannotated, other)).creation)).toEqual(['aws-pod-identity']);
  },
  longest,
);

test(
  'each Pod is asked about once, whichever labels it and its Namespace have',
  async () => {
    await using injecting = await install(everything);
    const said = [undefined, 'Mutate', 'Skip', 'mutate'];
    const optIn = (value: string | undefined) => (value === undefined ? {} : { [OPT_IN]: value });
    const nodes = [{}, { nodeSelector: { 'iam.gke.io/gke-metadata-server-enabled': 'true' } }];
    const asking = [
      {},
      KINDS.azure.labels,
      KINDS['google-to-aws'].labels,
      { 'azure.workload.identity/use': 'false' },
    ];
    const twice: unknown[] = [];
    const { annotations } = KINDS['google-to-aws'];
    for (const ofNamespace of said) {
      const namespace = await addAccount(injecting, annotations, optIn(ofNamespace));
      for (const ofPod of said) {
        for (const spec of nodes) {
          for (const labels of asking) {
            const before = await injecting.reviews();
            await injecting.create(namespace, podOf({ ...optIn(ofPod), ...labels }, spec));
            const reviews = (await injecting.reviews()) - before;
            if (reviews !== 1) twice.push({ ofNamespace, ofPod, spec, labels, reviews });
          }
        }
      }
    }
    expect(twice).toEqual([]);
  },
  longest,
);

test(
  'what is switched off is not asked about',
  async () => {
    const asked = async (values: ModuleValues) => {
      await using injecting = await install(values);
      const by: Kind[] = [];
      for (const kind of kinds) {
        const { labels, annotations } = KINDS[kind];
        const namespace = await addAccount(injecting, annotations);
        const { creation, reviews, counted } = await create(injecting, namespace, podOf(labels));
        expect([kind, creation.status, got(creation)]).toEqual([kind, 201, [...counted]]);
        if (reviews > 0) by.push(kind);
      }
      return by;
    };
    expect(await asked({})).toEqual(['google']);
    expect(await asked({ azure: { enabled: true } })).toEqual(['google', 'azure']);
    expect(await asked({ googleToAws: { enabled: true } })).toEqual(['google', 'google-to-aws']);
  },
  longest,
);

test(
  'with AWS alone, Pods with the opt-out label of EKS are not asked about',
  async () => {
    const { annotations } = KINDS.aws;
    const labels = { 'eks.amazonaws.com/skip-pod-identity-webhook': 'true' };
    const reviews = async (values: ModuleValues) => {
      await using injecting = await install(values);
      const namespace = await addAccount(injecting, annotations);
      const one = await create(injecting, namespace, podOf());
      const skipped = await create(injecting, namespace, podOf(labels));
      expect([got(one.creation), got(skipped.creation)]).toEqual([['aws'], []]);
      return [one.reviews, skipped.reviews];
    };
    expect(await reviews({ aws: { enabled: true } })).toEqual([1, 0]);
    expect(await reviews({ aws: { enabled: true }, externalAccount: { enabled: true } })).toEqual([1, 1]);
  },
  longest,
);

test(
  'a container that another webhook adds later gets the credentials too',
  async () => {
    await using injecting = await install(everything);
    const { annotations: role } = KINDS.aws;
    const { annotations, labels } = KINDS.azure;
    const namespace = await addAccount(injecting, { ...annotations, ...role });
    await using _ = await addContainers(injecting, namespace);
    // it is asked about a Pod once the API server knows of it
    for (;;) {
      const { creation, reviews } = await create(injecting, namespace, podOf(labels));
      expect([creation.status, creation.message]).toEqual([201, undefined]);
      if (!creation.pod.spec.containers.some(({ name }) => name === 'late')) continue;
      const wanted: readonly Kind[] = ['aws', 'azure'];
      expect([got(creation), got(creation, 'late'), reviews]).toEqual([wanted, wanted, 2]);
      break;
    }
  },
  longest,
);

/** A webhook that the API server asks after the module's, as its name says: it adds a container `late` to Pods. */
async function addContainers({ world }: InjectingWebhook, namespace: string): Promise<AsyncDisposable> {
  await using disposables = new AsyncDisposableStack();
  const certificate = disposables.use(await WebhookCertificate.make());
  const [cert, key] = ['tls.crt', 'tls.key'].map((name) =>
    Bun.file(join(certificate.directory, '..data', name)),
  );
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: { cert, key },
    async fetch(request) {
      const { request: review } = (await request.json()) as {
        request: { uid: string; object: { spec: { containers: { name: string }[] } } };
      };
      const isThere = review.object.spec.containers.some(({ name }) => name === 'late');
      const patch = isThere
        ? []
        : [{ op: 'add', path: '/spec/containers/-', value: { ...main, name: 'late' } }];
      const response = {
        uid: review.uid,
        allowed: true,
        patchType: 'JSONPatch',
        patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
      };
      return Response.json({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
    },
  });
  disposables.defer(() => server.stop(true));
  const name = `z-${world.namespace}`;
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
  const webhook = {
    name: 'late.example.com',
    clientConfig: { url: `https://127.0.0.1:${server.port}/`, caBundle: await certificate.caBundle() },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
  };
  await world.api.text('POST', path, { body: { metadata: { name }, webhooks: [webhook] } });
  disposables.defer(async () => {
    await world.api.fetch('DELETE', `${path}/${name}`);
  });
  const undo = disposables.move();
  return { [Symbol.asyncDispose]: () => undo.disposeAsync() };
}

test.each(['Fail', 'Ignore'] as const)(
  'while the webhook is down, with policy %s',
  async (serviceAccountFailurePolicy) => {
    await using injecting = await install({ ...everything, webhook: { serviceAccountFailurePolicy } });
    const namespace = await addAccount(injecting, KINDS.aws.annotations);
    await addAccountTo(injecting, KUBE_SYSTEM);
    await addAccountTo(injecting, injecting.world.namespace);
    await injecting.webhook.only.end('SIGKILL');
    const create = async (where: string, labels: Readonly<Record<string, string>> = {}) => {
      const { status, message = '', pod } = await injecting.create(where, podOf(labels));
      const [, entry] = /failed calling webhook "([\w-]+)\./.exec(message) ?? [];
      return status === 201 ? (pod.spec.containers[0]?.env ?? []) : entry;
    };
    const isFail = serviceAccountFailurePolicy === 'Fail';
    expect({
      unlabelled: await create(namespace),
      skipped: await create(namespace, { [OPT_IN]: 'Skip' }),
      google: await create(namespace, KINDS.google.labels),
      azure: await create(namespace, KINDS.azure.labels),
      googleToAws: await create(namespace, KINDS['google-to-aws'].labels),
      system: await create(KUBE_SYSTEM, KINDS.google.labels),
      own: await create(injecting.world.namespace),
    }).toEqual({
      unlabelled: isFail ? 'service-account' : [],
      skipped: isFail ? 'service-account-of-skipped' : [],
      google: 'pod-label',
      azure: 'azure-label',
      googleToAws: 'token-injector-label',
      system: [],
      own: [],
    });
  },
  longest,
);

/** The ServiceAccount `app` in a Namespace that exists; it may be there from before. */
async function addAccountTo({ world }: InjectingWebhook, namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await world.api.fetch('POST', path, { body: { metadata: { name: 'app' } } });
}
