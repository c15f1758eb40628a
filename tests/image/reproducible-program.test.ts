import { expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import { ARCHITECTURES } from '../../scripts/image/architecture.ts';
import { digestOf } from '../../scripts/image/layer.ts';
import { runOrThrow } from '../../scripts/run.ts';

const REPOSITORY = join(import.meta.dir, '../..');

test.each(Object.values(ARCHITECTURES))(
  '$target: the same sources in another folder give the same program',
  async ({ target }) => {
    // hard links instead of copying 300 MB, which need the same file system
    await mkdir(join(REPOSITORY, '.cache'), { recursive: true });
    const folder = await mkdtemp(join(REPOSITORY, '.cache/reproducible-'));
    try {
      const [here, there] = [join(folder, 'here'), join(folder, 'there')];
      const copy = join(folder, 'a repository elsewhere');
      await mkdir(copy);
      const sources = ['server', 'scripts', 'node_modules', 'package.json', 'tsconfig.json'];
      await runOrThrow(['cp', '-al', ...sources.map((name) => join(REPOSITORY, name)), copy]);
      await compileServer(here, target);
      const compile = `await (await import('./scripts/compile-server.ts')).compileServer(${JSON.stringify(there)}, '${target}')`;
      await runOrThrow([process.execPath, '--eval', compile], { cwd: copy });
      const digests = await Promise.all(
        [here, there].map(async (file) => digestOf(await Bun.file(file).bytes())),
      );
      expect(digests[1]).toBe(digests[0] ?? 'none');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  300_000,
);
