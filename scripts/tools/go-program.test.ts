import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'go-program-test-'));
  await mkdir(join(folder, 'bin'));
  // what a cache needs, and what Go is run by
  for (const program of ['flock', 'nice', 'sh', 'cat']) {
    await symlink(Bun.which(program) ?? program, join(folder, 'bin', program));
  }
});
afterAll(() => rm(folder, { recursive: true }));

test.skipIf(process.platform !== 'linux').each([
  ["import { goProgram } from './go-program.ts'", "goProgram('crane', cache)"],
  ["import { kubectlProgram } from './kubectl.ts'", 'kubectlProgram(cache)'],
])(
  'without Go it says so, and leaves nothing: %s',
  async (imported, call) => {
    const script = `
    import { Cache } from './cache.ts';
    ${imported};
    const cache = new Cache(process.env.FOLDER);
    await ${call}.catch((error) => console.log(error.message));`;
    const env = { PATH: join(folder, 'bin'), FOLDER: folder };
    const { stdout, stderr } = await run([process.execPath, '-e', script], { cwd: import.meta.dir, env });
    expect([stderr, stdout]).toEqual([
      '',
      'cannot run go: it is not on PATH. Install it, and run this again.\n',
    ]);
  },
  120_000,
);
