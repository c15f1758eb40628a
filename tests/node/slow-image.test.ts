import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { toolsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { Pods } from './pods.ts';
import { SlowRegistry } from './slow-registry.ts';

// The kubelet reports the address of a Pod after its first sync, in which it pulls the images of all containers one
// after the other: while the second image is being pulled, the first container runs.
setDefaultTimeout(280_000);

// a busy machine takes its time to start a Pod
const PATIENCE = 120_000;

const KEYS = 'gke-metadata-server.matheuscscp.io';
const TOKEN = '/computeMetadata/v1/instance/service-accounts/default/token';
const CALL = `curl --silent --output /dev/null --write-out '%{http_code}' --header Metadata-Flavor:Google http://$GCE_METADATA_HOST${TOKEN}`;

let world: NodeWorld;
let pods: Pods;

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  await world.addServiceAccount('reader');
});
afterAll(() => world?.[Symbol.asyncDispose]());

interface SlowPod {
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** What its first container runs; `$REPORT/…` reports to the test. */
  readonly script: string;
  readonly lifecycle?: object;
}

/** Makes a Pod whose second image does not come before {@link SlowRegistry.release}. */
async function createWithSlowImage({ name, annotations, script, lifecycle }: SlowPod): Promise<SlowRegistry> {
  const [hostname = ''] = world.cluster.hostAddresses;
  const registry = await SlowRegistry.start(hostname);
  // a name of its own, so that no image is there already
  await world.cluster.mirrorRegistry(`${name}.test:80`, registry.url);
  const main = {
    name: 'main',
    image: toolsImage,
    imagePullPolicy: 'Never',
    command: ['/bin/sh', '-c', script],
    env: [{ name: 'REPORT', value: registry.reportURL }],
    ...(lifecycle && { lifecycle }),
  };
  const containers = [main, { name: 'slow', image: `${name}.test:80/slow:1` }];
  await pods.create({ name, serviceAccountName: 'reader', annotations, command: [], spec: { containers } });
  return registry;
}

test.each(['Environment', 'Redirect'])(
  'mode %s: the first call succeeds while the second image is being pulled',
  async (mode) => {
    const name = `pulls-${mode.toLowerCase()}`;
    await using registry = await createWithSlowImage({
      name,
      annotations: { [`${KEYS}/mode`]: mode },
      script: `curl --silent $REPORT/$(${CALL})`,
    });
    await waitUntil('main has asked', () => registry.reports.length > 0, PATIENCE);
    const { status } = await pods.get(name);
    registry.release();
    await pods.succeeded(name);
    expect(registry.reports).toEqual(['200']);
    // the kubelet had reported nothing of the container that asked
    expect(status.containerStatuses?.map(({ state }) => Object.keys(state))).toEqual([
      ['waiting'],
      ['waiting'],
    ]);
  },
);

test('mode Environment: a postStart hook that waits for the credentials of its own container gets them', async () => {
  const hook = `until [ "$(${CALL})" = 200 ]; do :; done; curl --silent $REPORT/hook`;
  await using registry = await createWithSlowImage({
    name: 'pulls-hook',
    annotations: { [`${KEYS}/mode`]: 'Environment' },
    script: 'sleep 1',
    lifecycle: { postStart: { exec: { command: ['/bin/sh', '-c', hook] } } },
  });
  await waitUntil('the hook ends', () => registry.reports.length > 0, PATIENCE);
  registry.release();
  await pods.succeeded('pulls-hook');
});

test('mode Environment without the wait: 503 for as long as the second image is being pulled, never 404', async () => {
  const name = 'pulls-at-once';
  await using registry = await createWithSlowImage({
    name,
    annotations: { [`${KEYS}/mode`]: 'Environment', [`${KEYS}/wait`]: 'false' },
    script: `until [ "$STATUS" = 200 ]; do STATUS=$(${CALL}); curl --silent $REPORT/$STATUS; done`,
  });
  await waitUntil('main has asked several times', () => registry.reports.length > 5, PATIENCE);
  expect(new Set(registry.reports)).toEqual(new Set(['503']));
  registry.release();
  await pods.succeeded(name);
  expect([...new Set(registry.reports)]).toEqual(['503', '200']);
});
