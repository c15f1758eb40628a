import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';
import { writeImageArchive } from './image-archive.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

// BSD's tar has other options
test.skipIf(process.platform !== 'linux')(
  'an archive names its layer, and comes out the same twice',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-archive-test-'));
    try {
      const rootfs = join(folder, 'rootfs');
      await mkdir(join(rootfs, 'etc'), { recursive: true });
      await Bun.write(join(rootfs, 'etc/motd'), 'hello');
      const contents = { rootfs, name: 'example.test/hello:1', entrypoint: ['/hello'], user: '1:2' };
      await writeImageArchive(join(folder, 'first.tar'), contents);
      await utimes(join(rootfs, 'etc/motd'), 1, 1);
      await writeImageArchive(join(folder, 'second.tar'), contents);
      const bytes = (name: string) => Bun.file(join(folder, name)).bytes();
      expect(Bun.deepEquals(await bytes('first.tar'), await bytes('second.tar'))).toBe(true);

      const member = (name: string) => runOrThrow(['tar', '-xOf', join(folder, 'first.tar'), name]);
      const [manifest] = JSON.parse(await member('manifest.json'));
      expect(manifest.RepoTags).toEqual(['example.test/hello:1']);
      const { config, rootfs: layers } = JSON.parse(await member(manifest.Config));
      expect(config).toMatchObject({ Entrypoint: ['/hello'], User: '1:2' });
      await runOrThrow(['tar', '-xf', join(folder, 'first.tar'), '-C', folder]);
      const layer = await Bun.file(join(folder, manifest.Layers[0])).bytes();
      expect(layers.diff_ids).toEqual([
        `sha256:${new Bun.CryptoHasher('sha256').update(layer).digest('hex')}`,
      ]);
      expect(await runOrThrow(['tar', '-xOf', join(folder, manifest.Layers[0]), './etc/motd'])).toBe('hello');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
