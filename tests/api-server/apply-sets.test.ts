import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { applySets } from '../cluster/apply-sets.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';

const longest = 180_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api' });
}, longest);
afterAll(() => cluster?.stop());

function configMap(name: string, namespace: string, fields: object = { data: {} }): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, ...fields };
}

function deployment(namespace: string, podSpec: object = {}): KubernetesObject {
  const labels = { app: 'none' };
  const spec = { containers: [{ name: 'main', image: 'none' }], ...podSpec };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'none', namespace },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}

/** An instance in a Namespace of its own, and the names of the ConfigMaps that are there of it. */
function instance(namespace: string) {
  const objects = new Objects(cluster.api);
  const apply = (...sets: readonly (readonly KubernetesObject[])[]) =>
    applySets(
      cluster.api,
      sets.map((members, index) => ({ name: `set-${index}`, objects: members })),
      { name: 'instance', namespace, hasNodes: false, patience: 60_000 },
    );
  const present = async (...names: string[]) => {
    const found = names.map(async (name) => (await objects.get(configMap(name, namespace))) && name);
    return (await Promise.all(found)).filter((name) => name !== undefined);
  };
  return { apply, present, objects };
}

test(
  'objects that are no longer part of it are pruned, the others stay',
  async () => {
    const { apply, present, objects } = instance('pruned');
    const [one, two] = ['one', 'two'].map((name) => configMap(name, 'pruned', { data: { key: name } }));
    if (one === undefined || two === undefined) throw new Error('there are two');
    expect(await apply([one], [two])).toEqual({ warnings: [], pruned: [] });
    const before = await objects.get(two);
    expect(before).toMatchObject({ data: { key: 'two' } });

    expect(await apply([two])).toEqual({ warnings: [], pruned: ['ConfigMap pruned/one'] });
    expect(await present('one', 'two')).toEqual(['two']);
    expect(await objects.get(two)).toEqual(before);
    expect((await apply()).pruned).toEqual(['ConfigMap pruned/two']);
    expect(await present('one', 'two')).toEqual([]);
  },
  longest,
);

test(
  'a set with an object that is refused is not begun, and no later one is; what was applied before is pruned later',
  async () => {
    const { apply, present } = instance('refused');
    const good = configMap('good', 'refused');
    // data has strings only
    const bad = configMap('bad', 'refused', { data: { key: { not: 'a string' } } });
    await expect(
      apply([configMap('first', 'refused')], [good, bad], [configMap('last', 'refused')]),
    ).rejects.toThrow('ConfigMap refused/bad');
    expect(await present('first', 'good', 'last')).toEqual(['first']);
    expect((await apply([good])).pruned).toContain('ConfigMap refused/first');
    expect(await present('first', 'good')).toEqual(['good']);
  },
  longest,
);

test(
  'what the API server warns of is handed back',
  async () => {
    const { apply } = instance('warned');
    const { warnings } = await apply([
      deployment('warned', { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
    ]);
    expect(warnings).toEqual([expect.stringContaining('deprecated since v1.14')]);
  },
  longest,
);

test(
  'a Deployment is waited for only if there are Nodes',
  async () => {
    const sets = [{ name: 'set', objects: [deployment('waiting')] }];
    const options = { name: 'instance', namespace: 'waiting', patience: 0 };
    await expect(applySets(cluster.api, sets, { ...options, hasNodes: true })).rejects.toThrow(
      'Deployment waiting/none has not been observed',
    );
    expect(await applySets(cluster.api, sets, { ...options, hasNodes: false })).toEqual({
      warnings: [],
      pruned: [],
    });
  },
  longest,
);
