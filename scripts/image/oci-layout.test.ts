import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';
import { blobPath, digestOf, makeLayer } from './layer.ts';
import type { Descriptor } from './oci-layout.ts';
import { type ImageSettings, type WrittenLayout, writeOciLayout } from './oci-layout.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const settings: ImageSettings = {
  user: '1:2',
  entrypoint: ['/bin/hello'],
  environment: { PATH: '/bin' },
  labels: { 'org.opencontainers.image.title': 'hello' },
  created: new Date(1_000_000_000_000),
};

/** What index, manifest and configuration have. */
interface Entries {
  readonly manifests?: readonly (Descriptor & { readonly platform: object })[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly annotations?: object;
}

// BSD's tar has other options
describe.skipIf(process.platform !== 'linux')('an OCI layout', () => {
  let folder: string;
  let written: WrittenLayout;
  const layout = () => join(folder, 'layout');
  const json = (path: string): Promise<Entries> => Bun.file(path).json();
  const blob = (digest = 'none') => json(blobPath(layout(), digest));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oci-layout-test-'));
    await mkdir(join(folder, 'root/bin'), { recursive: true });
    await Bun.write(join(folder, 'root/bin/hello'), 'hello');
    await symlink('hello', join(folder, 'root/bin/hi'));
    await chmod(join(folder, 'root/bin/hello'), 0o775);
    const layer = await makeLayer(join(folder, 'root'), 'a test');
    const images = [
      { architecture: 'amd64', layers: [layer] },
      { architecture: 'arm64', layers: [layer] },
    ] as const;
    written = await writeOciLayout(layout(), images, settings, 'example.test/hello:1');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('names the index of the platforms, and nothing else', async () => {
    expect<unknown>(await json(join(layout(), 'oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    const top = await json(join(layout(), 'index.json'));
    expect<unknown>(top.manifests).toEqual([
      expect.objectContaining({
        ...written.index,
        annotations: expect.objectContaining({ 'io.containerd.image.name': 'example.test/hello:1' }),
      }),
    ]);
    const index = await blob(written.index.digest);
    expect(index.manifests?.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    expect(index.manifests?.map(({ digest }) => digest)).toEqual(
      written.manifests.map(({ digest }) => digest),
    );
  });

  test('holds each blob under its digest, and refers to it by its size', async () => {
    const sizes = new Map<string, number>();
    for (const name of await readdir(join(layout(), 'blobs/sha256'))) {
      const content = await Bun.file(blobPath(layout(), `sha256:${name}`)).bytes();
      expect(digestOf(content)).toBe(`sha256:${name}`);
      sizes.set(`sha256:${name}`, content.byteLength);
    }
    // index, two manifests, two configurations, one layer for both
    expect(sizes.size).toBe(6);
    const index = await blob(written.index.digest);
    const manifests = await Promise.all(written.manifests.map(({ digest }) => blob(digest)));
    const descriptors = [index, ...manifests].flatMap(({ manifests = [], config, layers = [] }) => [
      ...manifests,
      ...(config ? [config] : []),
      ...layers,
    ]);
    expect(descriptors).toHaveLength(6);
    for (const { digest, size } of descriptors) expect(sizes.get(digest)).toBe(size);
  });

  test('has a configuration that a runtime can use', async () => {
    const [amd64] = written.manifests;
    const manifest = await blob(amd64?.digest);
    expect(manifest.annotations).toEqual(settings.labels);
    const config = await blob(manifest.config?.digest);
    const layer = Bun.gunzipSync(
      await Bun.file(blobPath(layout(), manifest.layers?.[0]?.digest ?? 'none')).bytes(),
    );
    expect<unknown>(config).toEqual({
      created: '2001-09-09T01:46:40.000Z',
      architecture: 'amd64',
      os: 'linux',
      config: {
        User: '1:2',
        Env: ['PATH=/bin'],
        Entrypoint: ['/bin/hello'],
        WorkingDir: '/',
        Labels: settings.labels,
      },
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
      history: [{ created: '2001-09-09T01:46:40.000Z', created_by: 'a test' }],
    });
  });

  test('is the same whenever and by whomever its files were written', async () => {
    const root = join(folder, 'root');
    const first = await makeLayer(root, 'a test');
    await utimes(join(root, 'bin/hello'), 1, 1);
    await chmod(join(root, 'bin'), 0o700);
    await chmod(join(root, 'bin/hello'), 0o700);
    const second = await makeLayer(root, 'a test');
    expect(Bun.deepEquals(first, second)).toBe(true);

    await Bun.write(join(folder, 'layer.tar.gz'), second.blob);
    const lines = (await runOrThrow(['tar', '--utc', '-tvzf', join(folder, 'layer.tar.gz')]))
      .trim()
      .split('\n');
    expect(lines.map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwxr-xr-x 0/0 5 1970-01-01 00:00 bin/hello',
      'lrwxr-xr-x 0/0 0 1970-01-01 00:00 bin/hi -> hello',
    ]);
  });
});
