import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { type ArtifactName, repositoryOf } from '../../scripts/publish/release-names.ts';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { unhealthy, untilAll } from '../cluster/objects.ts';
import { example, ofKind, withSpec } from '../flux/examples.ts';
import { VERSION } from './e2e-release.ts';
import { E2EWorld } from './e2e-world.ts';
import { pushTimoniImage } from './timoni-image.ts';

setDefaultTimeout(900_000);
const PATIENCE = 420_000;
const NAME = 'gke-metadata-server';

const timoni = Bun.which('timoni');

let world: E2EWorld;
beforeAll(async () => {
  world = await E2EWorld.start();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** An example with a key, of the release; Flux is given the key. In order. */
async function keyed(artifact: Exclude<ArtifactName, 'image'>): Promise<readonly KubernetesObject[]> {
  const documents = await example(`flux/${artifact}-with-key.yaml`);
  const { namespace = '' } = ofKind('OCIRepository', documents).metadata;
  const url = `oci://${repositoryOf(artifact, world.parts.inCluster)}`;
  const secret: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${NAME}-cosign`, namespace },
    stringData: { 'cosign.pub': await Bun.file(world.parts.key.signer.key).text() },
  };
  const before = documents.some(({ kind }) => kind === 'Namespace')
    ? documents.filter(({ kind }) => kind === 'Namespace')
    : [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }];
  return [
    ...before,
    secret,
    ...documents
      .filter(({ kind }) => kind !== 'Namespace')
      .map((object) =>
        object.kind === 'OCIRepository' ? withSpec(object, { url, insecure: true }) : object,
      ),
  ];
}

async function apply(objects: readonly KubernetesObject[]): Promise<void> {
  for (const object of objects) await world.objects.apply(object);
}

/** Until the conditions of an object of Flux say that it is ready. */
async function ready(object: KubernetesObject): Promise<void> {
  await untilAll('Flux is done', [object], PATIENCE, async (reference) => {
    const { status } = Object(await world.objects.get(reference));
    const found = status?.conditions?.find(({ type }: { type: string }) => type === 'Ready');
    return found?.status === 'True' ? undefined : `is not ready: ${found?.message}`;
  });
}

/** Deletes objects, the last first, each gone before the next. */
async function remove(objects: readonly KubernetesObject[]): Promise<void> {
  for (const object of objects.toReversed()) {
    await world.objects.delete(object);
    await untilAll('it is deleted', [object], PATIENCE, async (reference) =>
      (await world.objects.get(reference)) === undefined ? undefined : 'is still there',
    );
  }
}

const ofServer = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: NAME, namespace: NAME } };

test('Flux installs the signed manifests, and a labelled Pod gets its token', async () => {
  const { googleSTSEndpoint, googleIAMCredentialsEndpoint, ...guessed } = world.settings;
  const environment = {
    GOOGLE_STS_ENDPOINT: googleSTSEndpoint,
    GOOGLE_IAM_CREDENTIALS_ENDPOINT: googleIAMCredentialsEndpoint,
  };
  const env = Object.entries(environment).map(([name, value]) => ({ name, value }));
  const patch = { ...ofServer, spec: { template: { spec: { containers: [{ name: 'server', env }] } } } };
  const all = await keyed('manifests');
  const kustomization = withSpec(ofKind('Kustomization', all), {
    // cert-manager was not brought by Flux
    dependsOn: undefined,
    postBuild: {
      substitute: {
        PROJECT_ID: guessed.projectID,
        WORKLOAD_IDENTITY_PROVIDER: guessed.workloadIdentityProvider,
      },
    },
    patches: [{ patch: JSON.stringify(patch) }],
  });
  const installed = [...all.filter(({ kind }) => kind !== 'Kustomization'), kustomization];
  await apply(installed);
  await ready(kustomization);
  await world.expectToken('by-manifests');
  await remove([kustomization]);
  // the Namespace is one of the manifests
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAME } };
  await untilAll('all is pruned', [ofServer, namespace], PATIENCE, async (reference) =>
    (await world.objects.get(reference)) === undefined ? undefined : 'is still there',
  );
});

test('Flux refuses manifests that nobody signed', async () => {
  const unsigned = `${world.parts.registry}-unsigned`;
  const registry = new Registry(await goProgram('crane', new Cache()));
  const { repository, digest } = world.artifact('manifests');
  const copy = repositoryOf('manifests', unsigned);
  const layout = join(world.parts.folder, 'copy');
  await registry.pull(`${repository}@${digest}`, layout);
  await registry.push(layout, `${copy}@${digest}`);
  await registry.tag(`${copy}@${digest}`, VERSION);
  const source = withSpec(ofKind('OCIRepository', await keyed('manifests')), {
    url: `oci://${repositoryOf('manifests', `${world.parts.inCluster}-unsigned`)}`,
  });
  const object = { ...source, metadata: { ...source.metadata, name: 'unsigned' } };
  await apply([object]);
  await untilAll('Flux refuses it', [object], PATIENCE, async (reference) => {
    const { status } = Object(await world.objects.get(reference));
    const reasons = status?.conditions?.map(({ reason }: { reason: string }) => reason) ?? [];
    return reasons.includes('VerificationError') ? undefined : `is not refused: ${reasons}`;
  });
  expect(Object(await world.objects.get(object)).status.artifact).toBeUndefined();
  await remove([object]);
});

test('Flux installs the signed chart, and a labelled Pod gets its token', async () => {
  const all = await keyed('chart');
  const release = withSpec(ofKind('HelmRelease', all), {
    // cert-manager was not brought by Flux
    dependsOn: undefined,
    values: { settings: world.settings },
  });
  const installed = [...all.filter(({ kind }) => kind !== 'HelmRelease'), release];
  await apply(installed);
  await ready(release);
  await world.expectToken('by-chart');
  await remove(installed);
});

test.skipIf(timoni === null)(
  'Flux verifies the module, the Job installs what was verified, and a labelled Pod gets its token',
  async () => {
    const { registry, folder, cluster } = world.parts;
    const image = await pushTimoniImage(timoni ?? '', registry, join(folder, 'timoni-image'));
    const all = await keyed('module');
    const settings = `values: settings: ${JSON.stringify(world.settings)}`;
    const installed = all
      .filter(({ kind }) => kind !== 'CronJob')
      .map((object) => (object.kind === 'ConfigMap' ? withSettings(object, settings) : object));
    await apply(installed);
    await ready(ofKind('OCIRepository', all));
    const { jobTemplate } = Object(ofKind('CronJob', all)['spec']);
    const { containers, ...pod } = jobTemplate.spec.template.spec;
    const [container] = containers;
    // the registry speaks plain HTTP
    const command = [...container.command, '--registry-insecure'];
    const job: KubernetesObject = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: `${NAME}-timoni`, namespace: 'flux-system' },
      spec: {
        ...jobTemplate.spec,
        template: { spec: { ...pod, containers: [{ ...container, command, image }] } },
      },
    };
    await apply([job]);
    await untilAll('the Job is done', [job], PATIENCE, async (reference) =>
      unhealthy((await world.objects.get(reference)) ?? job),
    );
    await world.expectToken('by-job');
    await remove([...installed.filter(({ kind }) => kind !== 'Namespace'), job]);
    await runOrThrow(
      [timoni ?? '', 'bundle', 'delete', NAME, '--timeout=7m', `--kubeconfig=${cluster.kubeconfig}`],
      {
        env: { ...process.env, HOME: folder },
      },
    );
  },
);

function withSettings(configMap: KubernetesObject, settings: string): KubernetesObject {
  const data = Object(configMap['data']);
  const bundle = data['bundle.cue'].replace(/values: settings: \{[^}]*\}/, settings);
  return { ...configMap, data: { ...data, 'bundle.cue': bundle } };
}

test.skipIf(timoni === null)(
  'timoni bundle apply installs the module, and a labelled Pod gets its token',
  async () => {
    const { repository, digest } = world.artifact('module');
    const module = { url: `oci://${repository}`, version: VERSION, digest };
    const instance = { module, namespace: NAME, values: { settings: world.settings } };
    const bundle = { apiVersion: 'v1alpha1', name: NAME, instances: { [NAME]: instance } };
    const file = join(world.parts.folder, 'bundle.cue');
    // CUE is a superset of JSON
    await Bun.write(file, JSON.stringify({ bundle }));
    const run = (...args: readonly string[]) =>
      runOrThrow([timoni ?? '', 'bundle', ...args, `--kubeconfig=${world.parts.cluster.kubeconfig}`], {
        env: { ...process.env, HOME: world.parts.folder },
      });
    await run('apply', '--file', file, '--timeout=7m');
    await world.expectToken('by-timoni');
    await run('delete', NAME, '--timeout=7m');
  },
);
