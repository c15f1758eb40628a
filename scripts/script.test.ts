import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
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

/** Where a person is who calls a script by its path. */
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
  ['cluster', ['up', 'both'], 'Allowed choices are api, node.'],
  ['create-or-update-provider', [], 'missing --project, --pool'],
  [
    'create-or-update-provider',
    ['--project=p', '--pool=pool', '--check', '--dry-run'],
    'cannot be used with',
  ],
  ['issuer-documents', [], 'missing --issuer'],
  ['issuer-documents', ['--issuer=http://bucket'], 'It must be an https URL'],
  ['issuer-documents', ['--issuer=https://bucket', '--check', '--keep=old.json'], 'cannot be used with'],
  ['release', ['1.2.3'], 'missing --source, --registry'],
  ['release', [], "missing required argument 'version'"],
  ['render', ['--chart=chart', '--values=values.yaml'], 'no --chart beside values'],
  ['render', ['more'], 'too many arguments'],
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

test('a path is looked up where the person is', async () => {
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
  // kubectl, which is run where the person is, looks it up
  expect(found).toEqual(
    ['create-or-update-provider', 'issuer-documents'].map((name) =>
      expect.stringContaining(`${name}: option('--kubeconfig <file>'`),
    ),
  );
});
