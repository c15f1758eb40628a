import { afterEach, beforeEach, expect, test } from 'bun:test';
import { ask } from '../../server/sandbox/ask.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { metric } from '../metrics.ts';
import { readiness } from '../program.ts';
import { type ServeProcess, startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld, type ServerNode } from './cluster-world.ts';

const longest = 240_000;
const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const READER = 'reader@cluster-project.iam.gserviceaccount.com';
const WRITER = 'writer@cluster-project.iam.gserviceaccount.com';

let disposables: AsyncDisposableStack;
beforeEach(() => {
  disposables = new AsyncDisposableStack();
});
afterEach(() => disposables.disposeAsync());

/** A cluster of its own, with two ServiceAccounts, and a server that has given one Pod its token. */
async function served(...apiServerFlags: string[]) {
  const cluster = disposables.use(await startCluster({ mode: 'api', apiServerFlags }));
  const world = disposables.use(await ClusterWorld.start(cluster));
  await world.addServiceAccount('reader', READER);
  await world.addServiceAccount('writer', WRITER);
  // who has no Pod's address is the Node, which is nobody
  const node = await world.addNode('a');
  await addPod(world, node, 'known', '127.0.0.11');
  const serve = disposables.use(await startServe(node));
  await waitUntil('the Pod has its token', async () => {
    return (await ask('127.0.0.11', serve.port, `${ACCOUNT}/token`)).status === 200;
  });
  return { cluster, world, node, serve };
}

function addPod(
  world: ClusterWorld,
  { nodeName }: ServerNode,
  name: string,
  address: string,
  account = 'reader',
) {
  return world.addPod({ name, nodeName, serviceAccountName: account, address });
}

/** Who an address is to the server. */
const emailOf = async (serve: ServeProcess, address: string) =>
  (await ask(address, serve.port, `${ACCOUNT}/email`)).body;

const restarts = (serve: ServeProcess, reason: string) =>
  metric(serve.healthPort, 'gke_metadata_server_watch_restarts_total', { resource: 'pods', reason });

test(
  'after a restart of the API server the watch goes on: new Pods come, deleted ones go, and nobody saw the restart',
  async () => {
    const { cluster, world, node, serve } = await served();
    const cached = (await ask('127.0.0.11', serve.port, `${ACCOUNT}/token`)).body;
    await cluster.restartApiServer();
    await addPod(world, node, 'new', '127.0.0.12', 'writer');
    await waitUntil('the new Pod is known', async () => (await emailOf(serve, '127.0.0.12')) === WRITER);
    const [{ access_token: token }, { access_token: before }] = [
      JSON.parse((await ask('127.0.0.11', serve.port, `${ACCOUNT}/token`)).body),
      JSON.parse(cached),
    ];
    expect(token).toBe(before);
    expect((await restarts(serve, 'failed')) + (await restarts(serve, 'ended'))).toBeGreaterThan(0);

    // by the watch alone: a Pod that is known is not looked for
    await world.deletePod('new');
    await waitUntil('the deleted Pod is gone', async () => (await emailOf(serve, '127.0.0.12')) !== WRITER);
  },
  longest,
);

test(
  'a watch whose version etcd has compacted away begins with a list, and misses nothing of between',
  async () => {
    // no cache: watches come from etcd, which alone forgets
    const { cluster, world, node, serve } = await served('--watch-cache=false');
    expect(await restarts(serve, 'expired')).toBe(0);
    const configMaps = `${world.path}/configmaps`;
    for (const name of ['one', 'two'])
      await world.api.text('POST', configMaps, { body: { metadata: { name } } });
    await cluster.compactEtcd();
    await cluster.restartApiServer();
    await waitUntil('the watch was refused with 410', async () => (await restarts(serve, 'expired')) > 0);

    await addPod(world, node, 'new', '127.0.0.12', 'writer');
    await waitUntil('the new Pod is known', async () => (await emailOf(serve, '127.0.0.12')) === WRITER);
    await world.deletePod('known');
    await waitUntil('the deleted Pod is gone', async () => (await emailOf(serve, '127.0.0.11')) !== READER);
    expect(await readiness(serve.healthPort)).toBe(200);
  },
  longest,
);

test(
  'while the API server is gone, known Pods are served on and the rest gets a 503; all is well when it is back',
  async () => {
    const { cluster, world, node, serve } = await served();
    await addPod(world, node, 'waiting', '127.0.0.12', 'writer');
    await waitUntil('the other Pod is known', async () => (await emailOf(serve, '127.0.0.12')) === WRITER);
    const token = async (address: string, query = '') => ask(address, serve.port, `${ACCOUNT}/token${query}`);
    const before = JSON.parse((await token('127.0.0.11')).body).access_token;
    await cluster.stopApiServer();
    await waitUntil('the watch has noticed', async () => (await restarts(serve, 'failed')) > 0);

    const cached = await token('127.0.0.11');
    expect([cached.status, JSON.parse(cached.body).access_token]).toEqual([200, before]);
    // another scope takes Google alone: the federated token is kept
    const scoped = await token('127.0.0.11', '?scopes=https://www.googleapis.com/auth/devstorage.read_only');
    expect(scoped.status).toBe(200);
    expect(world.google.describe(JSON.parse(scoped.body).access_token)?.scopes).toEqual([
      'https://www.googleapis.com/auth/devstorage.read_only',
    ]);
    const waiting = await token('127.0.0.12');
    expect(waiting).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    expect(waiting.body).toStartWith('The Kubernetes API server');
    expect(await readiness(serve.healthPort)).toBe(200);

    await cluster.startApiServer();
    const answer = await waitUntil('the other Pod has its token', async () => {
      const answered = await token('127.0.0.12');
      return answered.status === 200 && JSON.parse(answered.body);
    });
    expect(world.google.describe(answer.access_token)?.principal.member).toBe(`serviceAccount:${WRITER}`);
    await addPod(world, node, 'later', '127.0.0.13', 'writer');
    await waitUntil('a later Pod is known', async () => (await emailOf(serve, '127.0.0.13')) === WRITER);
  },
  longest,
);
