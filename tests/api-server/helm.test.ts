import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartFolder } from '../../scripts/module/chart.ts';
import { type KubernetesObject, ModuleRenderer, type ModuleValues } from '../../scripts/module/render.ts';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { asApplied, asDefaulted } from '../flux/expected-objects.ts';

const longest = 240_000;
const instance = { name: 'credentials', namespace: 'gke-metadata-server' };
const minimal: ModuleValues = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
  settings: {
    projectID: 'example-project',
    workloadIdentityProvider:
      'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
  },
};
const changed: ModuleValues = {
  ...minimal,
  settings: { ...Object(minimal['settings']), logLevel: 'debug' },
  policy: { nodeIdentity: { enabled: true } },
  webhook: { podDisruptionBudget: { enabled: false }, replicas: 3 },
  monitoring: {
    podMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
  },
};

let cluster: Cluster;
let objects: Objects;
let renderer: ModuleRenderer;
let folder: string;
let program: string;
beforeAll(async () => {
  const cache = new Cache();
  [cluster, renderer, program, folder] = await Promise.all([
    startCluster({ mode: 'api', certManager: true }),
    ModuleRenderer.prepare(cache),
    goProgram('helm', cache),
    mkdtemp(join(tmpdir(), 'gkems-helm-')),
  ]);
  objects = new Objects(cluster.api);
  await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: instance.namespace } });
}, longest);
afterAll(async () => {
  await cluster?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

async function helm(command: string, ...args: readonly string[]): Promise<string> {
  const { name, namespace } = instance;
  const flags = ['--namespace', namespace, '--kubeconfig', cluster.kubeconfig];
  return runOrThrow([program, command, name, ...args, ...flags], {
    env: { ...process.env, HOME: folder, HELM_NO_PLUGINS: '1' },
    timeout: 120_000,
  });
}

/** `helm install` or `helm upgrade` of the chart as it is in the tree. */
async function deploy(command: 'install' | 'upgrade', values: ModuleValues): Promise<string> {
  const file = join(folder, 'values.json');
  await Bun.write(file, JSON.stringify(values));
  return helm(command, chartFolder, '--values', file);
}

async function moduleObjects(values: ModuleValues): Promise<readonly KubernetesObject[]> {
  return (await renderer.render(values, instance)).flatMap((set) => set.objects);
}

/** When the API server stored the first of a kind that nobody else changes in a cluster without controllers. */
async function createdAt(kind: string, all: readonly KubernetesObject[]): Promise<number> {
  const found = all.filter((object) => object.kind === kind);
  const versions = await Promise.all(
    found.map(async (object) => Number((await objects.get(object))?.metadata['resourceVersion'])),
  );
  return Math.min(...versions);
}

test(
  "install, upgrade, uninstall: the module's objects each time, then none of them",
  async () => {
    const [first, second] = await Promise.all([moduleObjects(minimal), moduleObjects(changed)]);
    const defaulted = {
      first: await asDefaulted(first, objects),
      second: await asDefaulted(second, objects),
    };

    const said = await deploy('install', minimal);
    expect(said).toContain('rollout status daemonset/credentials');
    expect(await asApplied(first, objects)).toEqual([...defaulted.first]);

    // docs/helm.md tells this order: guards come seconds after the rights that they guard
    const order = await Promise.all(
      [
        'ClusterRoleBinding',
        'DaemonSet',
        'Deployment',
        'ValidatingAdmissionPolicy',
        'ValidatingAdmissionPolicyBinding',
      ].map((kind) => createdAt(kind, first)),
    );
    expect(order).toEqual(order.toSorted((one, other) => one - other));

    await deploy('upgrade', changed);
    expect(await asApplied(second, objects)).toEqual([...defaulted.second]);
    const gone = first.filter(({ kind }) => kind === 'PodDisruptionBudget');
    expect(await asApplied(gone, objects)).toEqual([undefined]);

    await helm('rollback', '1');
    expect(await asApplied(first, objects)).toEqual([...defaulted.first]);

    await helm('uninstall');
    const all = [...first, ...second];
    expect(await asApplied(all, objects)).toEqual(all.map(() => undefined));
  },
  longest,
);

test(
  'two releases of one name in two Namespaces share no object',
  async () => {
    const other = { ...instance, namespace: 'other' };
    const [own, others] = await Promise.all(
      [instance, other].map(async (each) =>
        (await renderer.render(minimal, each)).flatMap((set) => set.objects),
      ),
    );
    await deploy('install', minimal);
    const file = join(folder, 'values.json');
    const flags = ['--namespace', other.namespace, '--create-namespace', '--kubeconfig', cluster.kubeconfig];
    const command = [program, 'install', other.name, chartFolder, '--values', file, ...flags];
    await runOrThrow(command, { env: { ...process.env, HOME: folder }, timeout: 120_000 });
    await helm('uninstall');
    const left = await Promise.all((others ?? []).map((object) => objects.get(object)));
    expect(left).not.toContain(undefined);
    expect(await asApplied(own ?? [], objects)).toEqual((own ?? []).map(() => undefined));
  },
  longest,
);
