import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { Cache } from '../../scripts/tools/cache.ts';
import { clientsArchive, clientsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { Pods, podTemplate } from './pods.ts';

setDefaultTimeout(300_000);

const JOBS = '/apis/batch/v1/namespaces/default/jobs';
const TOKEN = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token';
const ROLLOUTS = 3;
const PODS = 50;
const PATIENCE = 240_000;

interface Job {
  readonly status: { readonly succeeded?: number; readonly failed?: number };
}

let world: NodeWorld;
let pods: Pods;
let reader: string;

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  reader = await world.addServiceAccount('reader');
  await world.cluster.loadImage(await clientsArchive(new Cache()));
});
afterAll(() => world?.[Symbol.asyncDispose]());

test('50 Pods that start at once, with no server and then while it is updated, get a token at their first try', async () => {
  const command = ['curl', '--silent', '--show-error', '--fail', '--header', 'Metadata-Flavor:Google', TOKEN];
  const template = podTemplate({ name: 'fifty', serviceAccountName: 'reader', command });
  await world.setServerPresent(false);
  await waitUntil('the server is gone', async () => (await world.serverPods()).length === 0);
  // no Pod of it is tried again
  const spec = { parallelism: PODS, completions: PODS, backoffLimit: 0, template };
  await world.api.text('POST', JOBS, { body: { metadata: { name: 'fifty' }, spec } });
  const ofJob = () => pods.withLabel('job-name=fifty');
  const job = (what: string, isSo: (job: Job) => boolean) =>
    waitUntil(
      what,
      async () => {
        const found = await world.api.json<Job>('GET', `${JOBS}/fifty`);
        return (found.status.failed ?? 0) > 0 || isSo(found);
      },
      PATIENCE,
    );

  await waitUntil(
    'Pods wait for the server',
    async () => (await ofJob()).filter(isInitializing).length >= 10,
    PATIENCE,
  );
  expect((await ofJob()).filter(({ status }) => status.phase === 'Succeeded')).toEqual([]);
  await world.setServerPresent(true);
  await job('the first Pod is done', ({ status }) => (status.succeeded ?? 0) > 0);
  await world.restartServer();
  await job('all Pods are done', ({ status }) => status.succeeded === PODS);

  const made = await ofJob();
  const accounts = made.map(async ({ metadata: { name } }) => {
    return world.accountOf(JSON.parse(await pods.log(name)).access_token);
  });
  expect(await Promise.all(accounts)).toEqual(Array(PODS).fill(reader));
  const containers = made.flatMap(({ status }) => [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ]);
  expect(containers.filter(({ restartCount }) => restartCount > 0)).toEqual([]);
});

function isInitializing({
  status,
}: {
  status: { initContainerStatuses?: readonly { state: object }[] };
}): boolean {
  return status.initContainerStatuses?.some(({ state }) => 'running' in state) ?? false;
}

test('the server is updated under load and no request is lost, on kept connections or new ones', async () => {
  // what waits in the queue of a listener that closes goes to the one that is left: docs/operations.md
  await world.cluster.runOnNode(['sysctl', '-w', 'net.ipv4.tcp_migrate_req=1']);
  let told = 'go on';
  const [hostname = ''] = world.cluster.hostAddresses;
  using host = Bun.serve({ hostname, port: 0, fetch: () => new Response(told) });
  const program = await Bun.file(join(import.meta.dir, 'load.py')).text();
  const command = ['python3', '-c', program, `http://${hostname}:${host.port}/`];
  await pods.create({ name: 'load', serviceAccountName: 'reader', image: clientsImage, command });
  await pods.running('load');

  const servers = new Set<string>();
  for (let rollout = 0; rollout < ROLLOUTS; rollout += 1) {
    await world.restartServer();
    for (const { metadata } of await world.serverPods()) servers.add(metadata.uid);
  }
  told = 'end';
  await pods.succeeded('load');
  const load = JSON.parse(await pods.log('load'));
  expect(load.failures).toEqual([]);
  expect(servers.size).toBe(ROLLOUTS);
  expect(load.kept).toBeGreaterThan(1000);
  expect(load.new).toBeGreaterThan(1000);
});
