import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { toolsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { Pods } from './pods.ts';

// The kubelet reports the address of a Pod after its first sync, which a postStart hook holds up as the pull of a slow
// image does: what the server then says to the containers that run already, and what init-network makes of it.
setDefaultTimeout(280_000);

const KEYS = 'gke-metadata-server.matheuscscp.io';
const PODS = '/api/v1/namespaces/default/pods';
const ENVIRONMENT = { [`${KEYS}/mode`]: 'Environment' };
const TOKEN = '/computeMetadata/v1/instance/service-accounts/default/token';
/** Its first sync takes as long as this hook. */
const SLOW = {
  name: 'slow',
  image: toolsImage,
  imagePullPolicy: 'Never',
  command: ['sleep', '20'],
  lifecycle: { postStart: { exec: { command: ['sleep', '15'] } } },
};
const ONE_CALL = `curl --silent --output /dev/null --write-out '%{http_code}\\n' --header Metadata-Flavor:Google http://$GCE_METADATA_HOST${TOKEN}`;

let world: NodeWorld;
let pods: Pods;

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  await world.addServiceAccount('reader');
});
afterAll(() => world?.[Symbol.asyncDispose]());

function main(script: string) {
  return { name: 'main', image: toolsImage, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', script] };
}

async function statusesOf(name: string, container = 'main'): Promise<string[]> {
  return (await pods.log(name, container)).trim().split('\n');
}

test('mode Environment: the first call succeeds, though another container has long not started', async () => {
  const spec = { containers: [main(ONE_CALL), SLOW] };
  await pods.run({
    name: 'waits',
    serviceAccountName: 'reader',
    annotations: ENVIRONMENT,
    command: [],
    spec,
  });
  expect(await statusesOf('waits')).toEqual(['200']);
});

test('without the wait the calls before get 503, never 404, until the kubelet has reported the address', async () => {
  const script = `until ${ONE_CALL} | tee -a /dev/stderr | grep -q 200; do :; done 2>&1`;
  const annotations = { ...ENVIRONMENT, [`${KEYS}/wait`]: 'false' };
  const spec = { containers: [main(script), SLOW] };
  await pods.run({ name: 'retries', serviceAccountName: 'reader', annotations, command: [], spec });
  const statuses = await statusesOf('retries');
  expect([...new Set(statuses)]).toEqual(['503', '200']);
});

test('thirty containers of a Pod, each at its first call', async () => {
  const containers = Array.from({ length: 30 }, (_, index) => ({ ...main(ONE_CALL), name: `main-${index}` }));
  const pod = { name: 'thirty', serviceAccountName: 'reader', annotations: ENVIRONMENT };
  await pods.create({ ...pod, command: [], spec: { containers } });
  await pods.succeeded('thirty');
  const statuses = await Promise.all(containers.map(({ name }) => statusesOf('thirty', name)));
  expect(new Set(statuses.flat())).toEqual(new Set(['200']));
});

test('sixty Pods at once, each at its first call', async () => {
  const names = Array.from({ length: 60 }, (_, index) => `of-sixty-${index}`);
  const spec = { containers: [main(ONE_CALL)] };
  const pod = { serviceAccountName: 'reader', annotations: ENVIRONMENT, command: [], spec };
  await Promise.all(names.map((name) => pods.create({ ...pod, name })));
  await Promise.all(names.map((name) => pods.succeeded(name)));
  const statuses = await Promise.all(names.map((name) => statusesOf(name)));
  expect(new Set(statuses.flat())).toEqual(new Set(['200']));
});

test('a Guaranteed Pod in mode Redirect stays Guaranteed on its Node', async () => {
  const resources = { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '100m', memory: '64Mi' } };
  const spec = { containers: [{ ...main(ONE_CALL), resources }] };
  await pods.run({ name: 'guaranteed', serviceAccountName: 'reader', command: [], spec });
  expect(await statusesOf('guaranteed')).toEqual(['200']);
  const { status } = await world.api.json<{ status: { qosClass: string } }>('GET', `${PODS}/guaranteed`);
  expect(status.qosClass).toBe('Guaranteed');
});

test('a Pod that waits for the server is gone when it is deleted, long before its grace period has passed', async () => {
  await world.setServerPresent(false);
  await waitUntil('no server runs', async () => (await world.serverPods()).length === 0);
  const spec = { containers: [main('true')], terminationGracePeriodSeconds: 3600 };
  await pods.create({ name: 'deleted', serviceAccountName: 'reader', command: [], spec });
  await waitUntil('init-network waits', async () => {
    return (await pods.log('deleted', 'init-network').catch(() => '')).includes(
      'waiting for the metadata server',
    );
  });
  await pods.delete('deleted');
});
