import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportSPKI, generateKeyPair } from 'jose';
import { systemEffects } from '../../server/core/effects.ts';
import { ApiServer } from '../../server/kubernetes/api-server.ts';
import { loadCluster } from '../../server/kubernetes/cluster.ts';
import { keySetDifference, readClusterKeys } from '../../server/kubernetes/cluster-keys.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld } from './cluster-world.ts';

const longest = 180_000;
const DISCOVERY = 'system:service-account-issuer-discovery';

let folder: string;
let cluster: Cluster;
let world: ClusterWorld;
let server: ApiServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gkems-keys-'));
  await Bun.write(join(folder, 'others.pem'), await publicKey('RS256'));
  const flags = [`--service-account-key-file=${folder}/others.pem`];
  cluster = await startCluster({ mode: 'api', apiServerFlags: flags });
  world = await ClusterWorld.start(cluster);
  const kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(kubeconfig, (await world.addNode('a')).kubeconfig, { mode: 0o600 });
  server = new ApiServer(loadCluster({ kubeconfig, environment: {} }), systemEffects);
}, longest);
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function publicKey(algorithm: string): Promise<string> {
  return exportSPKI((await generateKeyPair(algorithm, { extractable: true })).publicKey);
}

test(
  'the server may read the keys by what Kubernetes lets every ServiceAccount do, and sees which are new',
  async () => {
    const before = await readClusterKeys(server);
    expect(before).toHaveLength(2);
    // as at the beginning of a rotation: known to the API server, not yet signed with
    const others = join(folder, 'others.pem');
    await Bun.write(others, `${await Bun.file(others).text()}\n${await publicKey('ES256')}`);
    await cluster.restartApiServer();
    const now = await readClusterKeys(server);
    const { added, removed } = keySetDifference(before, now);
    expect([added.length, removed, now.length]).toEqual([1, [], 3]);
    // the API server derives a key's ID from the key, so no two differ in one only
    expect(new Set(now.map(({ kid }) => kid)).size).toBe(3);
  },
  longest,
);

test(
  'without that binding it says what to bind',
  async () => {
    await world.api.text('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${DISCOVERY}`);
    const refusal = await waitUntil('the binding is gone', () =>
      readClusterKeys(server).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    expect(refusal).toMatchObject({
      code: 'kubernetes-forbidden',
      message: expect.stringContaining('cannot get path "/openid/v1/jwks"'),
      remedy: expect.stringContaining(DISCOVERY),
    });
  },
  longest,
);
