import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { exists, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generatedSchemas } from '../../scripts/module/schemas.ts';
import { writeModuleArtifact } from '../../scripts/publish/module-artifact.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { repositoryOf } from '../../scripts/publish/release-names.ts';
import { type Finished, run } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { LocalRegistry } from '../release/local-registry.ts';
import {
  cosign,
  cosignEnvironment,
  type Key,
  makeKey,
  orderOf,
  scratchFolder,
} from '../release/small-release.ts';
import { version } from './signed-source.ts';

// it cannot be compiled from its Go module by the tools of this repository
const timoni = Bun.which('timoni');

setDefaultTimeout(120_000);
const cache = new Cache();
const resources = new AsyncDisposableStack();

let folder: string;
let registry: LocalRegistry;
let signer: Key;
let other: Key;
beforeAll(async () => {
  folder = resources.use(await scratchFolder()).path;
  registry = resources.use(await LocalRegistry.start());
  [signer, other] = [await makeKey(folder, 'signer'), await makeKey(folder, 'other')];
});
afterAll(() => resources.disposeAsync());

/** Pushes the project's module, signed by a key or by nobody. Returns its `HOST/PATH`. */
async function push(path: string, key: Key | undefined): Promise<string> {
  const base = `${registry.host}/${path}`;
  const image = { repository: 'registry.test/image', tag: version, digest: `sha256:${'0'.repeat(64)}` };
  await using scratch = await scratchFolder();
  const layout = join(scratch.path, 'layout');
  const { source } = orderOf(base, version, await makeKey(scratch.path, 'any'));
  const { digest } = await writeModuleArtifact(layout, await generatedSchemas(cache), image, source);
  const repository = repositoryOf('module', base);
  const crane = new Registry(await goProgram('crane', cache));
  await crane.push(layout, `${repository}@${digest}`);
  await crane.tag(`${repository}@${digest}`, version);
  if (key !== undefined) await (await cosign()).sign(`${repository}@${digest}`, key.privateKey);
  return repository;
}

/** As docs/flux.md has it, but for the key in place of the identity of a workflow. */
async function pull(repository: string, output: string): Promise<Finished> {
  const { PATH, ...environment } = cosignEnvironment();
  const programs = dirname(await goProgram('cosign', cache));
  const place = [`oci://${repository}`, `--version=${version}`, `--output=${output}`];
  return run(
    [timoni ?? '', 'mod', 'pull', ...place, '--verify=cosign', `--cosign-key=${signer.signer.key}`],
    {
      env: { ...environment, HOME: folder, PATH: `${programs}:${PATH}`, TIMONI_CACHING: 'false' },
    },
  );
}

test.skipIf(timoni === null)('timoni mod pull takes the module that the key signed', async () => {
  const output = join(folder, 'module');
  expect(await pull(await push('signed', signer), output)).toMatchObject({ exitCode: 0 });
  expect(await Bun.file(join(output, 'templates/config/release.cue')).text()).toContain(
    'registry.test/image',
  );
  expect(await exists(join(output, 'cue.mod/gen'))).toBe(true);
});

test.skipIf(timoni === null)('timoni mod pull takes none that somebody else signed, or nobody', async () => {
  for (const [name, key] of Object.entries({ other, nobody: undefined })) {
    const output = join(folder, `module-by-${name}`);
    const { exitCode, stderr } = await pull(await push(name, key), output);
    expect([name, exitCode]).toEqual([name, 1]);
    expect(stderr).toMatch(/signature/);
    expect(await readdir(output)).toEqual([]);
  }
});
