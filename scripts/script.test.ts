import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run } from './run.ts';
import { callerKey, callerPath } from './script.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

/** The logic of each shell script that hands over to a file of its own, by the script's name. */
const SCRIPTS = new Map<string, string>();
for (const name of [...new Bun.Glob('*').scanSync(import.meta.dir)].sort()) {
  if (name.includes('.')) continue;
  const text = await Bun.file(join(import.meta.dir, name)).text();
  const [, file] = /^exec "\$\(dirname "\$0"\)\/bun" (\S+\.ts) "\$@"$/m.exec(text) ?? [];
  if (file !== undefined) SCRIPTS.set(name, join(import.meta.dir, '..', file));
}
const NAMES = [...SCRIPTS.keys()];

/** The folder of a person who calls a script by its path. */
let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'script-test-')));
});
afterAll(() => rm(folder, { recursive: true }));

const script = (name: string, ...args: readonly string[]): Promise<Finished> =>
  run([join(import.meta.dir, name), ...args], { cwd: folder });

test('there are scripts', () => {
  expect(NAMES).toContain('test');
  expect(NAMES).toContain('verify-release');
});

test.each(NAMES)('%s has a help, and one line for an option that it does not know', async (name) => {
  const [help, unknown] = await Promise.all([script(name, '--help'), script(name, '--bogus')]);
  expect(help).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`Usage: scripts/${name} `) });
  expect(unknown).toEqual({ exitCode: 2, stdout: '', stderr: "error: unknown option '--bogus'\n" });
});

test.each([
  ['bench', ['--rounds=0'], 'Expected a number from 1.'],
  ['build', ['--target=mips'], 'Allowed choices are'],
  ['build-image', ['--platform=linux/mips'], 'It must be one or more of'],
  ['build-image', ['--rootfs=root'], '--rootfs wants one --platform'],
  ['build-image', ['--version=v1'], 'It must be a semantic version'],
  ['build-image', ['--source=github.com/owner/name'], 'It must be a URL'],
  ['build-image', ['--output='], 'It must not be empty.'],
  ['cluster', ['up', 'both'], 'Allowed choices are api, node.'],
  ['cluster', ['--state-dir=', 'down'], 'It must not be empty.'],
  ['create-or-update-provider', [], 'missing --project, --pool'],
  ['create-or-update-provider', ['--project=', '--pool=pool'], 'It must be the ID of a project'],
  ['create-or-update-provider', ['--project=Mine', '--pool=pool'], 'It must be the ID of a project'],
  ['create-or-update-provider', ['--project=my-project', '--pool=gcp-a'], 'It must be 4 to 32 of'],
  [
    'create-or-update-provider',
    ['--project=my-project', '--pool=pool', '--check', '--dry-run'],
    'cannot be used with',
  ],
  ['issuer-documents', [], 'missing --issuer'],
  ['issuer-documents', ['--issuer=http://bucket'], 'It must be an https URL'],
  ['issuer-documents', ['--issuer=https://bucket', '--check', '--keep=old.json'], 'cannot be used with'],
  ['release', ['1.2.3'], 'missing --source, --registry'],
  ['release', [], "missing required argument 'version'"],
  ['render', ['--chart=chart', '--values=values.yaml'], 'no --chart beside values'],
  ['render', ['more'], 'too many arguments'],
  ['render', ['--values='], 'It must not be empty.'],
  ['render', ['--chart=chart', '--module-version=one'], 'It must be a semantic version'],
  ['test', ['more'], 'too many arguments'],
  ['verify-release', ['v1.2.3'], 'It must be a semantic version'],
])('%s %p: one line that says what is wrong, and exit code 2', async (name, args, text) => {
  const { exitCode, stdout, stderr } = await script(name, ...args);
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(/^error: .+\n$/),
  });
  expect(stderr).toContain(text);
});

test('a path is relative to the folder of the caller', async () => {
  await mkdir(join(folder, 'full/file'), { recursive: true });
  const here = [
    await script('render', '--values', 'missing.yaml'),
    await script('build-image', '--platform=linux/amd64', '--rootfs=full'),
    await script('cluster', '--state-dir=state', 'status'),
  ];
  const texts = here.map(({ exitCode, stderr }) => [exitCode, stderr]);
  expect(texts).toEqual([
    [1, expect.stringContaining(join(folder, 'missing.yaml'))],
    [1, expect.stringContaining(`${join(folder, 'full')} is not empty`)],
    [1, expect.stringContaining(`no cluster is up in ${join(folder, 'state')}`)],
  ]);
});

test('a folder that holds anything else is not replaced, and nothing in it is', async () => {
  const project = join(folder, 'project');
  const text = 'of somebody';
  await Bun.write(join(project, 'README.md'), text);
  await Bun.write(join(folder, 'file'), text);
  const refusals = [
    await script('build-image', '--output=project'),
    await script('build-image', '--output=file'),
    await script('render', '--chart=project'),
    await script('render', '--chart=file'),
    await script('build', '--outfile=project'),
    await script('cluster', '--state-dir=project', 'down'),
  ];
  expect(refusals.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual([
    [1, expect.stringContaining(`cannot write an OCI layout to ${project}: it holds README.md`)],
    [1, expect.stringContaining(`cannot write an OCI layout to ${join(folder, 'file')}: `)],
    [1, expect.stringContaining(`cannot write the chart to ${project}: it holds README.md`)],
    [1, expect.stringContaining(`cannot write the chart to ${join(folder, 'file')}: `)],
    [1, `cannot write the program to ${project}: it is a folder\n`],
    [0, `no cluster is up in ${project}\n`],
  ]);
  expect(await readdir(project)).toEqual(['README.md']);
  expect(await Bun.file(join(project, 'README.md')).text()).toBe(text);
});

test('a chart is written over an older one', async () => {
  for (const version of ['1.0.0', '2.0.0']) {
    const { exitCode, stderr } = await script('render', '--chart=our-chart', `--module-version=${version}`);
    expect([exitCode, stderr]).toEqual([0, `wrote the chart to ${join(folder, 'our-chart')}\n`]);
  }
  expect(await Bun.file(join(folder, 'our-chart/Chart.yaml')).text()).toContain('version: "2.0.0"');
});

test('a key is a path, or a URI', () => {
  expect(callerKey('cosign.key')).toBe(callerPath('cosign.key'));
  expect(callerKey('./cosign.key')).toBe(callerPath('cosign.key'));
  for (const uri of ['env://KEY', 'gcpkms://projects/p', 'pkcs11:token=t']) expect(callerKey(uri)).toBe(uri);
});

test('no option of a script takes a path that is looked up elsewhere', async () => {
  const found: string[] = [];
  for (const [name, file] of SCRIPTS) {
    const text = await Bun.file(file).text();
    for (const [option] of text.matchAll(
      /option\(\s*(?:'--[\w-]+ <(?:file|folder|key)>'|KEY_OPTION)[^;]*?\)\n/g,
    )) {
      if (!/callerPath|callerKey/.test(option)) found.push(`${name}: ${option.trim()}`);
    }
  }
  // kubectl, which runs in the folder of the caller, resolves it
  expect(found).toEqual(
    ['create-or-update-provider', 'issuer-documents'].map((name) =>
      expect.stringContaining(`${name}: option('--kubeconfig <file>'`),
    ),
  );
});
