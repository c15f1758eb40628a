import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, copyFile, exists, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

// The script in a clone of its own, with an npm and a Bun that say what they do.

const VERSION = '9.9.9';
const CHECKSUM = 'sha512-locked==';
const BUN = `#!/bin/sh
echo "bun $*" >>"$CLONE/ran"
if [ "$1" = --version ]; then echo ${VERSION}; fi
if [ "$1" = install ]; then mkdir node_modules || exit 1; fi
`;
/** Gives what a registry says is the program: `$SENT` is the checksum of it. */
const NPM = `#!/bin/sh
echo "npm $*" >>"$CLONE/ran"
[ -n "$SENT" ] || exit 1
while [ "$1" != --prefix ]; do shift; done
for last; do :; done
mkdir -p "$2/node_modules/\${last%@*}/bin"
cp "$CLONE/program" "$2/node_modules/\${last%@*}/bin/bun"
echo "{\\"integrity\\": \\"$SENT\\"}" >"$2/package-lock.json"
`;
const PLATFORMS = ['linux', 'darwin', 'freebsd'].flatMap((os) =>
  ['x64', 'aarch64', 'x64-musl', 'aarch64-musl'].map((cpu) => `@oven/bun-${os}-${cpu}`),
);

let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'clone-'));
  await mkdir(join(clone, 'scripts'));
  await mkdir(join(clone, 'bin'));
  await copyFile(join(import.meta.dir, 'bun'), join(clone, 'scripts/bun'));
  await Bun.write(join(clone, 'package.json'), `{\n    "bun": "${VERSION}"\n}\n`);
  const packages = PLATFORMS.map((name) => `    "${name}": ["${name}@${VERSION}", "", {}, "${CHECKSUM}"],\n`);
  await Bun.write(join(clone, 'bun.lock'), packages.join('\n'));
  await Bun.write(join(clone, 'program'), BUN);
  await Bun.write(join(clone, 'bin/npm'), NPM);
  for (const program of ['program', 'bin/npm']) await chmod(join(clone, program), 0o755);
});

afterEach(() => rm(clone, { recursive: true, force: true }));

async function run(sent: string): Promise<{ status: number; output: string }> {
  // programs of the system, and no Bun of this machine
  const env = { PATH: `${clone}/bin:/usr/bin:/bin`, CLONE: clone, SENT: sent };
  const child = Bun.spawn([join(clone, 'scripts/bun'), 'hello'], { env, stdout: 'pipe', stderr: 'pipe' });
  const output = (await Promise.all([child.stdout.text(), child.stderr.text()])).join('');
  return { status: await child.exited, output };
}

const ran = async () => (await Bun.file(join(clone, 'ran')).text()).trim().split('\n');

describe.skipIf(Bun.which('bun', { PATH: '/usr/bin:/bin' }) !== null)('the first run of a clone', () => {
  test('runs the program that bun.lock has the checksum of, and installs the packages', async () => {
    expect((await run(CHECKSUM)).status).toBe(0);
    expect(await ran()).toEqual(expect.arrayContaining(['bun install --frozen-lockfile', 'bun hello']));
    // the second asks nobody
    const calls = (await ran()).filter((line) => line.startsWith('npm')).length;
    expect((await run('')).status).toBe(0);
    expect((await ran()).filter((line) => line.startsWith('npm')).length).toBe(calls);
  });

  test('never runs one with another checksum, and keeps nothing of it', async () => {
    const { status, output } = await run('sha512-another==');
    expect(status).toBe(1);
    expect(output).toContain('its checksum is not the one in bun.lock');
    expect((await ran()).filter((line) => line.startsWith('bun'))).toEqual([]);
    expect(await readdir(join(clone, '.cache'))).toEqual(['lock']);
    expect(await exists(join(clone, 'node_modules'))).toBe(false);
  });

  test('says what is missing if the registry does not respond', async () => {
    const { status, output } = await run('');
    expect(status).toBe(1);
    expect(output).toContain(`cannot get Bun ${VERSION}. Check that the npm registry can be reached`);
  });

  test('of several at once gets and installs once', async () => {
    const runs = await Promise.all(Array.from({ length: 5 }, () => run(CHECKSUM)));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0]);
    const lines = await ran();
    expect(lines.filter((line) => line.startsWith('npm')).length).toBe(1);
    expect(lines.filter((line) => line === 'bun install --frozen-lockfile').length).toBe(1);
    expect(lines.filter((line) => line === 'bun hello').length).toBe(5);
  });
});
