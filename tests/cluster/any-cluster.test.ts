import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../../scripts/required-programs.ts';
import { namedCluster } from './any-cluster.ts';

/** A foreign cluster that records its requests. */
let cluster: Bun.Server<undefined>;
let asked: string[];
let objects: Record<string, readonly object[]>;
let folder: string;
let kubeconfig: string;

const quiet = () => {};
const named = (name: string, more: object = {}) => ({ metadata: { name, ...more } });
const system = ['default', 'kube-node-lease', 'kube-public', 'kube-system', 'local-path-storage'].map(
  (name) => named(name),
);

beforeEach(async () => {
  asked = [];
  objects = { '/api/v1/namespaces': system, '/api/v1/namespaces/default/pods': [] };
  cluster = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ method, url }) => {
      const { pathname } = new URL(url);
      asked.push(`${method} ${pathname}`);
      return Response.json({ items: objects[pathname] });
    },
  });
  folder = await mkdtemp(join(tmpdir(), 'any-cluster-'));
  kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'a', cluster: { server: cluster.url.origin } }],
      users: [{ name: 'a', user: {} }],
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      'current-context': 'a',
    }),
  );
});
afterEach(async () => {
  await cluster.stop(true);
  await rm(folder, { recursive: true });
});

test("a person's KUBECONFIG is never read", async () => {
  expect(await namedCluster({ KUBECONFIG: kubeconfig }, quiet)).toBeUndefined();
  expect(await namedCluster({ KUBECONFIG: kubeconfig, TEST_KUBECONFIG: '' })).toBeUndefined();
  expect(asked).toEqual([]);
});

test('an empty cluster is taken, and its server is named', async () => {
  const said: string[] = [];
  const found = await namedCluster({ TEST_KUBECONFIG: kubeconfig }, (line) => said.push(line));
  expect(found?.kubeconfig).toBe(kubeconfig);
  expect(said).toEqual([expect.stringContaining(cluster.url.origin)]);
});

test('what an earlier test made and deleted does not count', async () => {
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  objects['/api/v1/namespaces'] = [...system, named('gms-0123abcd', { deletionTimestamp })];
  expect(await namedCluster({ TEST_KUBECONFIG: kubeconfig }, quiet)).toBeDefined();
});

test.each([
  ['/api/v1/namespaces', [...system, named('shop')], 'Namespace shop'],
  ['/api/v1/namespaces', [...system, named('gms-0123abcd')], 'Namespace gms-0123abcd'],
  ['/api/v1/namespaces/default/pods', [named('web')], 'Pod default/web'],
  [
    '/api/v1/namespaces/default/pods',
    ['1', '2', '3', '4', '5', '6', '7'].map((name) => named(name)),
    'Pod default/5 and 2 more',
  ],
])('a cluster with something in %s is refused, and nothing is written', async (path, items, text) => {
  objects[path] = items;
  const refused = namedCluster({ TEST_KUBECONFIG: kubeconfig }, quiet);
  await expect(refused).rejects.toThrow(Unavailable);
  await expect(refused).rejects.toThrow(text);
  await expect(refused).rejects.toThrow(cluster.url.origin);
  expect(asked.filter((request) => !request.startsWith('GET '))).toEqual([]);
});
