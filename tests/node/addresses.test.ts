import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { INJECTED, type Pod, Pods, podTemplate } from './pods.ts';
import { Reports } from './reports.ts';

setDefaultTimeout(240_000);

// the folder in which the CNI's host-local plugin keeps a file for each address in use, and the last one assigned
const ADDRESSES = '/run/cni/pods';
const SUCCESSORS = 6;

let world: NodeWorld;
let pods: Pods;
let reports: Reports;
const accounts = new Map<string, string>();

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  reports = new Reports(world);
  for (const name of ['one', 'two']) accounts.set(name, await world.addServiceAccount(name));
});
afterAll(async () => {
  await reports?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** Makes a Pod that asks all the time; resolves when it has got a token. */
async function startPod(name: string, serviceAccountName: string, spec = {}): Promise<Pod> {
  await pods.create({ name, serviceAccountName, command: reports.command(name), spec });
  await waitUntil(`Pod ${name} gets a token`, () => reports.of(name).length > 0);
  return pods.running(name);
}

function addressOf({ status }: Pod): string {
  return status.podIPs?.[0]?.ip ?? '';
}

/** Resolves when nobody has the address, and the next Pod that starts will get it. */
async function giveNext(address: string): Promise<void> {
  const { cluster } = world;
  await waitUntil(`${address} is free`, async () => {
    await cluster.runOnNode(['test', '!', '-e', `${ADDRESSES}/${address}`]);
    return true;
  });
  const before = address.replace(/\d+$/, (last) => `${Number(last) - 1}`);
  await cluster.runOnNode(['sh', '-c', `printf %s ${before} >${ADDRESSES}/last_reserved_ip.0`]);
}

test('Pods that take the address of one that is deleted or finishes get their own tokens, to the last and from the first', async () => {
  let pod = await startPod('pod-0', 'one');
  const address = addressOf(pod);
  for (let index = 1; index <= SUCCESSORS; index += 1) {
    const { name } = pod.metadata;
    const gone = index % 2 === 0 ? pods.delete(name) : reports.tellToEnd(name);
    await giveNext(address);
    pod = await startPod(`pod-${index}`, index % 2 === 0 ? 'one' : 'two');
    expect(addressOf(pod)).toBe(address);
    await gone;
  }
  for (let index = 0; index <= SUCCESSORS; index += 1) {
    const own = accounts.get(index % 2 === 0 ? 'one' : 'two');
    expect([`pod-${index}`, ...new Set(reports.of(`pod-${index}`))]).toEqual([`pod-${index}`, own]);
  }
});

test('nor do they while the API server is away, and the server cannot know whose the address is', async () => {
  const address = addressOf(await startPod('before', 'one'));
  await startPod('after', 'two', { restartPolicy: 'Always', automountServiceAccountToken: false });
  const ctr = (...args: string[]) => world.cluster.runOnNode(['ctr', '--namespace=k8s.io', ...args]);
  const ofSandbox = `labels."io.kubernetes.pod.name"==after,labels."io.cri-containerd.kind"==sandbox`;
  const [sandbox = ''] = (await ctr('containers', 'list', '--quiet', ofSandbox)).split('\n');

  await world.cluster.stopApiServer();
  reports.tellToEnd('before');
  await giveNext(address);
  // the kubelet recreates the Pod's network, and with it restarts all containers
  await ctr('tasks', 'kill', '--signal=SIGKILL', sandbox);
  const secondLog = ['sh', '-c', 'cat /var/log/pods/default_after_*/init-network/1.log'];
  await waitUntil('init-network has asked the server', async () => {
    const log = await world.cluster.runOnNode(secondLog);
    return ['still takes this Pod for the previous Pod with its IP', 'knows this Pod'].some((words) =>
      log.includes(words),
    );
  });
  const reported = reports.of('after').length;
  await world.cluster.startApiServer();
  await waitUntil('it has the address', async () => addressOf(await pods.get('after')) === address);
  await waitUntil('it gets a token', () => reports.of('after').length > reported);
  expect([...new Set(reports.of('after'))]).toEqual([accounts.get('two')]);
});

test('a static Pod, which has no ServiceAccount, gets that error; on the host network it has the identity of the Node', async () => {
  await world.setNodeServiceAccount('one');
  const [node = ''] = world.cluster.nodeAddresses;
  const url = `http://${node}:16321/computeMetadata/v1/instance/service-accounts/default`;
  const ask = (path: string) => `curl --silent --header Metadata-Flavor:Google ${url}${path}`;
  const seen = async (name: string, hostNetwork: boolean) => {
    // until its mirror is known to the server
    const script = `until ${ask('/token')} | grep -q 'static Pod\\|access_token'; do sleep 1; done; ${ask('/token')} --output /dev/null --write-out '%{http_code} '; ${ask('/email')}`;
    const { spec } = podTemplate({ name, serviceAccountName: '', command: ['/bin/sh', '-c', script] });
    const { serviceAccountName: _, ...own } = spec;
    await world.cluster.addStaticPod({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: INJECTED },
      spec: { ...own, hostNetwork },
    });
    const mirror = `${name}-${world.cluster.nodeName}`;
    await waitUntil('the API server has its mirror', () => pods.get(mirror).then(() => true));
    await pods.succeeded(mirror);
    return pods.log(mirror);
  };
  expect(await seen('static', false)).toStartWith('404 This Pod is a static Pod, and static Pods have no');
  expect(await seen('static-on-host', true)).toBe(`200 ${accounts.get('one')}`);
});
