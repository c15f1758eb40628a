import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { releasedBundle } from './release-files.ts';

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
