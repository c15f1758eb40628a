import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { releasedBundle, writeReleaseFiles } from './release-files.ts';

const BUNDLES = join(import.meta.dir, '../../timoni/bundles');
const module = {
  repository: 'registry.example.com/modules/gke-metadata-server',
  version: '1.2.3',
  digest: `sha256:${'0'.repeat(64)}`,
};

test.each(['release.cue', 'runtime.cue'])(
  '%s names the release, and asks for the rest as before',
  async (file) => {
    const bundle = await Bun.file(join(BUNDLES, file)).text();
    const released = releasedBundle(bundle, module);
    expect(released).toMatch(/url: +"oci:\/\/registry\.example\.com\/modules\/gke-metadata-server"/);
    expect(released).toMatch(/version: +"1\.2\.3"/);
    expect(released).toMatch(/digest: +"sha256:0{64}"/);
    expect(released).not.toContain('MODULE_');
    expect(released.match(/@timoni/g)?.length).toBe((bundle.match(/@timoni/g)?.length ?? 0) - 3);
  },
);

test('a bundle that does not ask for the release is refused', async () => {
  const bundle = await Bun.file(join(BUNDLES, 'development.cue')).text();
  expect(() => releasedBundle(bundle, module)).toThrow('MODULE_URL');
});

test('the kubectl plugin is among them as it is, with its checksum', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'release-files-'));
  try {
    const artifacts = (['image', 'module', 'chart'] as const).map((name) => ({
      name,
      repository: `registry.example.com/${name}`,
      digest: module.digest,
    }));
    const signed: string[] = [];
    await writeReleaseFiles(folder, { version: '1.2.3', commit: '0' }, artifacts, async (file) => {
      signed.push(file);
    });
    const plugin = await Bun.file(join(folder, 'kubectl-gke_metadata')).text();
    expect(plugin).toBe(await Bun.file(join(import.meta.dir, '../kubectl-gke_metadata')).text());
    const sum = new Bun.CryptoHasher('sha256').update(plugin).digest('hex');
    expect(await Bun.file(join(folder, 'checksums.txt')).text()).toContain(`${sum}  kubectl-gke_metadata\n`);
    expect(signed).toEqual([join(folder, 'checksums.txt')]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
