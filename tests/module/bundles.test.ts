import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Instance, ModuleRenderer, type ModuleValues } from '../../scripts/module/render.ts';
import { run, runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { hasTimoni, runTimoni } from './timoni-program.ts';

const ROOT = join(import.meta.dir, '../..');
const FOLDER = join(ROOT, 'timoni/bundles');
const CHECK = join(FOLDER, 'values.cue');

const renderer = await ModuleRenderer.prepare(new Cache());
const scratch = await mkdtemp(join(tmpdir(), 'gkems-bundles-'));
afterAll(() => rm(scratch, { recursive: true }));

/** What the bundles ask the environment for. */
const environment = {
  PROJECT_ID: 'my-project',
  WORKLOAD_IDENTITY_PROVIDER:
    'projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster',
  CLUSTER_NAME: 'my-cluster',
  IMAGE_REPOSITORY: 'registry.example.com/gke-metadata-server',
  IMAGE_DIGEST: `sha256:${'0123456789abcdef'.repeat(4)}`,
  MODULE_URL: 'oci://registry.example.com/modules/gke-metadata-server',
  MODULE_VERSION: '1.2.3',
  MODULE_DIGEST: `sha256:${'fedcba9876543210'.repeat(4)}`,
};

interface Bundle {
  readonly name: string;
  readonly apiVersion: string;
  readonly instances: Readonly<
    Record<string, { module: Record<string, string>; namespace: string; values: ModuleValues }>
  >;
}

const files = (await readdir(FOLDER)).filter((name) => join(FOLDER, name) !== CHECK);

/** The file of a bundle as Timoni has it once it has put the environment in. */
async function injected(
  name: string,
  values: Readonly<Record<string, string>> = environment,
): Promise<string> {
  const text = await Bun.file(join(FOLDER, name)).text();
  const file = join(scratch, `${Bun.randomUUIDv7()}-${basename(name)}`);
  await Bun.write(
    file,
    text.replace(/string @timoni\(runtime:string:(\w+)\)/g, (whole, key: string) =>
      key in values ? JSON.stringify(values[key]) : whole,
    ),
  );
  return file;
}

async function read(name: string): Promise<Bundle> {
  const command = [renderer.cue, 'export', await injected(name), '-e', 'bundle', '--out=json'];
  // what is missing is seen by who looks at it
  return JSON.parse(await runOrThrow(command, { cwd: ROOT })) as Bundle;
}

describe.each(files)('%s', (name) => {
  test('renders', async () => {
    const bundle = await read(name);
    expect(Object.keys(bundle.instances)).toEqual(['gke-metadata-server']);
    for (const [instance, { namespace, values }] of Object.entries(bundle.instances)) {
      const sets = await renderer.render(released(values), { name: instance, namespace });
      expect(sets.map((set) => set.name)).toEqual([
        'policy',
        'certificates',
        'webhook',
        'admission',
        'server',
      ]);
      expect(JSON.stringify(sets)).toContain(environment.WORKLOAD_IDENTITY_PROVIDER);
    }
  });

  test('has a module by folder, or by URL, version and digest', async () => {
    for (const { module } of Object.values((await read(name)).instances)) {
      const { MODULE_URL: url, MODULE_VERSION: version, MODULE_DIGEST: digest } = environment;
      const allowed: (typeof module)[] = [{ url: 'file://../gke-metadata-server' }, { url, version, digest }];
      expect(allowed).toContainEqual(module);
    }
  });

  test('cue tells that its values will do, before and after they are there', async () => {
    for (const file of [join(FOLDER, name), await injected(name)]) {
      expect(await vet(file)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    }
  });

  test('cue tells of a value that will not', async () => {
    const { exitCode, stderr } = await vet(
      await injected(name, { ...environment, PROJECT_ID: 'My Project' }),
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain("settings.projectID: expected a project's id");
  });

  test('a value that will not do is refused when rendered', async () => {
    const { namespace, values } = await only(name);
    const { settings, ...others } = values;
    const bad = { ...others, settings: { ...Object(settings), serverPort: 0 } };
    const instance: Instance = { name: 'gke-metadata-server', namespace };
    await expect(renderer.render(released(bad), instance)).rejects.toThrow('expected a port');
  });

  test.skipIf(!hasTimoni)('timoni takes it from the environment', async () => {
    await runTimoni(['bundle', 'vet', `--file=${join(FOLDER, name)}`, '--runtime-from-env'], {
      cwd: ROOT,
      environment,
    });
    const missing = runTimoni(['bundle', 'build', `--file=${join(FOLDER, name)}`], { cwd: ROOT });
    await expect(missing).rejects.toThrow('incomplete value string');
  });
});

async function only(name: string): Promise<Bundle['instances'][string]> {
  const [instance] = Object.values((await read(name)).instances);
  if (instance === undefined) throw new Error(`${name} has no instance`);
  return instance;
}

/** A released module has its image in it. */
function released(values: ModuleValues): ModuleValues {
  const { IMAGE_REPOSITORY: repository, IMAGE_DIGEST: digest } = environment;
  return { image: { repository, digest }, ...values };
}

function vet(file: string) {
  return run([renderer.cue, 'vet', '-c=false', file, CHECK], { cwd: ROOT });
}

test.skipIf(!hasTimoni)('timoni builds of development.cue what cue renders of its values', async () => {
  const { namespace, values } = await only('development.cue');
  const sets = await renderer.render(values, { name: 'gke-metadata-server', namespace });
  const file = join(FOLDER, 'development.cue');
  const built = await runTimoni(['bundle', 'build', `--file=${file}`, '--runtime-from-env'], {
    cwd: ROOT,
    environment: { ...environment, TIMONI_KUBE_VERSION: '1.30.0' },
  });
  const objects = sets.flatMap((set) => set.objects);
  // Timoni sorts them by kind
  const name = ({ kind, metadata }: (typeof objects)[number]) => `${kind} ${metadata.name}`;
  const documents = built.split(/^---$/m).flatMap((text) => Bun.YAML.parse(text) ?? []) as typeof objects;
  expect(documents.toSorted((one, other) => name(one).localeCompare(name(other)))).toEqual(
    objects.toSorted((one, other) => name(one).localeCompare(name(other))),
  );
});
