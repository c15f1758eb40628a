import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { type Creation, InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const KEYS = 'gke-metadata-server.matheuscscp.io';
const GUARANTEED = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } };
const SMALL = { requests: { cpu: '20m', memory: '32Mi' }, limits: { cpu: '20m', memory: '32Mi' } };

let cluster: Cluster;
let injecting: InjectingWebhook;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  injecting = await InjectingWebhook.start(cluster);
  await injecting.register();
}, longest);
afterAll(async () => {
  await injecting?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

const MODES = ['Redirect', 'Environment'] as const;

/** A Pod that opts in, with a container for each of these resources. */
function pod(resources: readonly object[], annotations: Readonly<Record<string, string>> = {}, spec = {}) {
  return {
    metadata: { name: 'app', labels: { [`${KEYS}/webhook`]: 'Mutate' }, annotations },
    spec: {
      containers: resources.map((one, index) => ({ name: `main-${index}`, image: 'none', resources: one })),
      ...spec,
    },
  };
}

/** A Namespace with a LimitRange for its containers. */
async function limited(limits: object): Promise<string> {
  const namespace = await injecting.addNamespace();
  const body = { metadata: { name: 'limits' }, spec: { limits: [{ type: 'Container', ...limits }] } };
  await injecting.world.api.text('POST', `/api/v1/namespaces/${namespace}/limitranges`, { body });
  return namespace;
}

/** A Namespace with a ResourceQuota, with nothing used: no controller updates it here. */
async function withQuota(hard: Readonly<Record<string, string>>): Promise<string> {
  const namespace = await injecting.addNamespace();
  const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
  await injecting.world.api.text('POST', path, { body: { metadata: { name: 'quota' }, spec: { hard } } });
  const used = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
  await injecting.world.api.text('PATCH', `${path}/quota/status`, {
    contentType: 'application/merge-patch+json',
    body: { status: { hard, used } },
  });
  return namespace;
}

/** Creates it when the API server knows the LimitRange or the quota, which it does a moment after it is made. */
function created(
  namespace: string,
  manifest: unknown,
  isKnown: (creation: Creation) => boolean,
): Promise<Creation> {
  return waitUntil('the API server knows the limits', async () => {
    const creation = await injecting.create(namespace, manifest);
    return isKnown(creation) && creation;
  });
}

describe.each([...MODES])('mode %s', (mode) => {
  const annotations = { [`${KEYS}/mode`]: mode };

  test.each([
    ['Guaranteed', [GUARANTEED]],
    ['Guaranteed', [GUARANTEED, SMALL]],
    ['Guaranteed', [SMALL]],
    ['Burstable', [{ requests: { cpu: '10m' } }]],
    ['Burstable', [GUARANTEED, { requests: { memory: '1Mi' }, limits: { memory: '1Gi' } }]],
    ['BestEffort', [{}]],
  ])('keeps the QoS class %s (%#)', async (qosClass, resources) => {
    const namespace = await injecting.addNamespace();
    const { status, pod: stored } = await injecting.create(namespace, pod(resources, annotations));
    expect([status, stored.status?.qosClass]).toEqual([201, qosClass]);
    expect(stored.spec.initContainers).toHaveLength(1);
  });

  test('fits the resources of the whole Pod', async () => {
    const namespace = await injecting.addNamespace();
    const { status, pod: stored } = await injecting.create(
      namespace,
      pod([{}], annotations, { resources: SMALL }),
    );
    expect([status, stored.status?.qosClass, stored.spec.initContainers?.length]).toEqual([
      201,
      'Guaranteed',
      1,
    ]);
  });

  test('fits every LimitRange that the Pod fits: largest, smallest, ratio and defaults', async () => {
    const namespace = await limited({
      max: { cpu: '2', memory: '2Gi' },
      min: { cpu: '500m', memory: '512Mi' },
      maxLimitRequestRatio: { cpu: '2', memory: '1' },
      default: { cpu: '1', memory: '1Gi' },
      defaultRequest: { cpu: '500m', memory: '1Gi' },
    });
    const hasDefaults = ({ pod: stored }: Creation) =>
      stored.spec?.containers[0]?.resources?.limits?.cpu === '1';
    const { status, pod: stored } = await created(namespace, pod([{}], annotations), hasDefaults);
    expect([status, stored.spec.initContainers?.[0]?.resources]).toEqual([
      201,
      { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } },
    ]);
  });

  test('costs a ResourceQuota nothing beside the Pod', async () => {
    const namespace = await withQuota({
      'requests.cpu': '1',
      'requests.memory': '1Gi',
      'limits.cpu': '1',
      'limits.memory': '1Gi',
    });
    const { status } = await injecting.create(namespace, pod([GUARANTEED], annotations));
    expect(status).toBe(201);
    const twice = await injecting.create(namespace, pod([GUARANTEED, GUARANTEED], annotations));
    expect([twice.status, twice.message]).toEqual([403, expect.stringContaining('exceeded quota: quota')]);
  });

  test('of a small Pod is named by a warning, which comes with the refusal of a quota', async () => {
    const namespace = await withQuota({ 'limits.cpu': '50m' });
    const refused = await injecting.create(namespace, pod([SMALL], annotations));
    expect([refused.status, refused.message]).toEqual([
      403,
      expect.stringContaining('exceeded quota: quota, requested: limits.cpu=100m'),
    ]);
    expect(refused.warnings).toEqual([
      expect.stringMatching(/^init-network has more .*limits\.cpu 100m.*webhook\.initNetworkResources$/),
    ]);
    const resources = JSON.stringify({ limits: { cpu: '20m' } });
    const smaller = { ...annotations, [`${KEYS}/init-network-resources`]: resources };
    expect(await injecting.create(namespace, pod([SMALL], smaller))).toMatchObject({
      status: 201,
      warnings: [],
    });
  });

  test('with resources set by annotation gets the texts that the guide explains', async () => {
    const said = (resources: object | string) => ({
      ...annotations,
      [`${KEYS}/init-network-resources`]:
        typeof resources === 'string' ? resources : JSON.stringify(resources),
    });
    const quota = await withQuota({ 'limits.cpu': '2' });
    const none = await injecting.create(quota, pod([GUARANTEED], said('none')));
    expect(none.message).toContain('must specify limits.cpu for: init-network');

    const range = await limited({ max: { cpu: '500m' } });
    const isRefused = ({ status }: Creation) => status === 403;
    const over = await created(range, pod([SMALL], said({ limits: { cpu: '1' } })), isRefused);
    expect(over.message).toContain('maximum cpu usage per Container is 500m, but limit is 1');

    const ofPod = async (resources: object) => {
      const manifest = pod([{}], said(resources), { resources: SMALL });
      return (await injecting.create(await injecting.addNamespace(), manifest)).message;
    };
    expect(await ofPod({ limits: { cpu: '1' } })).toContain(
      'must be greater than or equal to aggregate container requests of 1',
    );
  });
});
