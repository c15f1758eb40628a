import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { WebhookCertificate } from '../webhook-process.ts';
import { comparable, type GoldenCase, goldenCaseNames, prepareGoldenCase } from './golden-cases.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const OPT_IN = 'gke-metadata-server.matheuscscp.io/webhook';
const MODE = 'gke-metadata-server.matheuscscp.io/mode';
const GKE_NODES = 'iam.gke.io/gke-metadata-server-enabled';
const VARIABLES = ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'];

let cluster: Cluster;
let injecting: InjectingWebhook;
/** Each case, in a Namespace of its own, and what its want.yaml becomes with no webhook. */
let cases: readonly GoldenCase[];

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  injecting = await InjectingWebhook.start(cluster);
  cases = await Promise.all(goldenCaseNames().map((name) => prepareGoldenCase(name, injecting)));
  await injecting.register();
}, longest);
afterAll(async () => {
  await injecting?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

describe('the API server makes of each Pod what the golden case wants', () => {
  test.each(goldenCaseNames())('%s', async (name) => {
    const { namespace, pod, wanted, refusal, warnings } =
      cases.find((one) => one.name === name) ?? missing(name);
    const created = await injecting.create(namespace, pod);
    if (refusal !== undefined || wanted === undefined) {
      expect([created.status, created.message]).toEqual([
        403,
        expect.stringContaining(refusal ?? 'a refusal'),
      ]);
      return;
    }
    expect(comparable(created)).toEqual(comparable(wanted));
    expect(created.warnings.filter((text) => !wanted.warnings.includes(text))).toEqual([...warnings]);
    if (created.status !== 201) return;
    // copied from a live Pod: the second time changes nothing
    expect(comparable(await injecting.create(namespace, created.pod))).toEqual(comparable(created));
  });
});

function missing(name: string): never {
  throw new Error(`the case ${name} was not prepared`);
}

const container = { name: 'main', image: 'none' };
const pod = (metadata: object = {}, spec: object = {}) => ({
  metadata: { name: 'app', ...metadata },
  // mounting a token is also a change after ours, for which the webhook is called again
  spec: { containers: [container], automountServiceAccountToken: false, ...spec },
});

/** How often the webhook is asked when this Pod is created, by default in a Namespace with these labels. */
async function asked(
  labels: Readonly<Record<string, string>>,
  manifest: unknown,
  namespace?: string,
): Promise<number> {
  const where = namespace ?? (await injecting.addNamespace({ labels }));
  const before = await injecting.reviews();
  expect(await injecting.create(where, manifest)).toMatchObject({ status: 201 });
  return (await injecting.reviews()) - before;
}

test('the webhook is asked once, however many ways a Pod opts in by, and about no other Pod', async () => {
  const [mutate, skip] = [{ [OPT_IN]: 'Mutate' }, { [OPT_IN]: 'Skip' }];
  const onGke = { nodeSelector: { [GKE_NODES]: 'true' } };
  const server = { serviceAccountName: injecting.world.module.serverAccount };
  const once = {
    byLabel: await asked({}, pod({ labels: mutate })),
    byNamespace: await asked(mutate, pod()),
    byNodeSelector: await asked({}, pod({}, onGke)),
    byLabelAndNamespace: await asked(mutate, pod({ labels: mutate })),
    byNodeSelectorAndNamespace: await asked(mutate, pod({}, onGke)),
    byAll: await asked(mutate, pod({ labels: mutate }, onGke)),
  };
  expect(once).toEqual({
    ...{ byLabel: 1, byNamespace: 1, byNodeSelector: 1 },
    ...{ byLabelAndNamespace: 1, byNodeSelectorAndNamespace: 1, byAll: 1 },
  });
  const never = {
    plain: await asked({}, pod({ labels: { app: 'any' } }, { nodeSelector: { disk: 'ssd' } })),
    skipped: await asked(mutate, pod({ labels: skip }, onGke)),
    skippedByNamespace: await asked(skip, pod()),
    notOnGke: await asked({}, pod({}, { nodeSelector: { [GKE_NODES]: 'false' } })),
    own: await asked({}, pod({ labels: mutate }, server), injecting.world.namespace),
  };
  expect(never).toEqual({ plain: 0, skipped: 0, skippedByNamespace: 0, notOnGke: 0, own: 0 });
});

test('nor about a static Pod, which runs already', async () => {
  const annotations = { 'kubernetes.io/config.mirror': 'any' };
  const labels = { [OPT_IN]: 'Mutate' };
  const namespace = await injecting.addNamespace({ labels });
  const before = await injecting.reviews();
  // the API server takes it from a kubelet only, and asks webhooks before it says so
  await injecting.create(namespace, pod({ annotations, labels }));
  expect(await injecting.reviews()).toBe(before);
});

test(
  'Pods of 18,500 containers, many at once, are refused with a text; ordinary Pods are injected meanwhile',
  async () => {
    const [environment, labels] = [{ [MODE]: 'Environment' }, { [OPT_IN]: 'Mutate' }];
    const namespace = await injecting.addNamespace({ annotations: environment });
    // 2.7 MiB each: below what an API server takes
    const many = Array.from({ length: 18_500 }, () => ({ name: 'x', image: `none:${'x'.repeat(110)}` }));
    let isOver = false;
    const attack = Promise.all(
      Array.from({ length: 24 }, () => injecting.create(namespace, pod({ labels }, { containers: many }))),
    ).finally(() => {
      isOver = true;
    });
    const ordinary: unknown[] = [];
    do {
      const { status, pod: created } = await injecting.create(namespace, pod({ labels }));
      ordinary.push([status, created.spec?.containers[0]?.env?.length]);
    } while (!isOver);
    expect(ordinary).toEqual(ordinary.map(() => [201, VARIABLES.length + 1]));
    const tooLarge = expect.stringContaining('the body is larger than 3145728 bytes');
    // however long the API server takes to send a body that is refused already
    expect((await attack).map(({ message }) => message)).toEqual(Array(24).fill(tooLarge));
    const containers = many.slice(0, 15_000).map(({ name }) => ({ name }));
    expect((await injecting.create(namespace, pod({ labels }, { containers }))).message).toContain(
      'the Pod has 15000 containers, and at most 200 can be injected: split it up',
    );
  },
  longest,
);

describe('Pod Security', () => {
  // as restricted as can be by itself
  const restricted = pod(
    { labels: { [OPT_IN]: 'Mutate' } },
    {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          ...container,
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  );
  const create = async (level: string, mode: string) => {
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    return injecting.create(
      await injecting.addNamespace({ labels, annotations: { [MODE]: mode } }),
      restricted,
    );
  };

  test.each(['privileged', 'baseline', 'restricted'])('Environment is admitted by %s', async (level) => {
    const { status, pod: created } = await create(level, 'Environment');
    expect(status).toBe(201);
    expect(created.spec.containers[0]?.env?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(VARIABLES),
    );
    expect(created.spec.initContainers?.map(({ name }) => name)).toEqual(['init-network']);
  });

  test('Redirect is admitted by privileged alone: init-network needs NET_ADMIN and NET_RAW', async () => {
    const admitted = await create('privileged', 'Redirect');
    expect(admitted.pod.spec.initContainers?.map(({ name }) => name)).toEqual(['init-network']);
    const baseline = await create('baseline', 'Redirect');
    expect([baseline.status, baseline.message]).toEqual([
      403,
      expect.stringMatching(
        /violates PodSecurity "baseline:latest": non-default capabilities \(container "init-network" must not include "NET_ADMIN", "NET_RAW"/,
      ),
    ]);
    const strictest = await create('restricted', 'Redirect');
    expect([strictest.status, strictest.message]).toEqual([
      403,
      expect.stringMatching(/violates PodSecurity "restricted:latest": .*"init-network"/),
    ]);
  });
});

test(
  'a container that another webhook adds after ours gets its variables too: ours is asked again, and adds nothing twice',
  async () => {
    await using certificate = await WebhookCertificate.make();
    const directory = join(certificate.directory, '..data');
    await using after = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls: { cert: Bun.file(join(directory, 'tls.crt')), key: Bun.file(join(directory, 'tls.key')) },
      fetch: addsSidecar,
    });
    const { api, namespace: own } = injecting.world;
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
    // webhooks are asked in the order of their configurations' names
    const name = `zz-${own}`;
    const namespace = await injecting.addNamespace({
      labels: { sidecar: own },
      annotations: { [MODE]: 'Environment' },
    });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => api.text('DELETE', `${path}/${name}`).then(() => {}));
    const clientConfig = { url: after.url.href, caBundle: await certificate.caBundle() };
    const rules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }];
    const webhook = {
      name: 'sidecar.example.com',
      clientConfig,
      rules,
      namespaceSelector: { matchLabels: { sidecar: own } },
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
    };
    await api.text('POST', path, { body: { metadata: { name }, webhooks: [webhook] } });

    const manifest = pod({ labels: { [OPT_IN]: 'Mutate' } });
    let before = 0;
    const created = await waitUntil('the sidecar is added', async () => {
      before = await injecting.reviews();
      const { pod: result } = await injecting.create(namespace, manifest);
      return result.spec.containers.length === 2 && result;
    });
    expect((await injecting.reviews()) - before).toBe(2);
    const names = created.spec.containers.map(({ env = [] }) => env.map((variable) => variable.name));
    const wanted = ['GKE_METADATA_SERVER_HOST_IP', ...VARIABLES];
    expect(names).toEqual([wanted, wanted]);
  },
  longest,
);

/** A webhook of somebody else: adds a container, once. */
async function addsSidecar(request: Request): Promise<Response> {
  // an AdmissionReview, by the API server
  const { request: review } = (await request.json()) as {
    request: { uid: string; object: { spec: { containers: unknown[] } } };
  };
  const patch = [{ op: 'add', path: '/spec/containers/-', value: { name: 'sidecar', image: 'none' } }];
  const isThere = review.object.spec.containers.length > 1;
  const change = isThere ? {} : { patchType: 'JSONPatch', patch: btoa(JSON.stringify(patch)) };
  const response = { uid: review.uid, allowed: true, ...change };
  return Response.json({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
}
