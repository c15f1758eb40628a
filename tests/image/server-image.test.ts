import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { type PlatformParts, writeServerImage } from '../../scripts/image/server-image.ts';
import type { SourceVersion } from '../../scripts/image/source-version.ts';
import { run, runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { BuiltImage, imageParts } from './built-image.ts';

const source: SourceVersion = {
  version: '1.2.3',
  revision: '0123456789abcdef0123456789abcdef01234567',
  created: new Date(1_000_000_000_000),
  url: 'https://example.test/repository',
};

let folder: string;
let parts: readonly PlatformParts[];
let images: ReadonlyMap<string, BuiltImage>;
let hostDigest: string | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'server-image-test-'));
  parts = await imageParts(folder, new Cache());
  const layout = join(folder, 'layout');
  const { manifests } = await writeServerImage(layout, parts, source);
  images = new Map(manifests.map((each) => [each.architecture, new BuiltImage(layout, each.digest)]));
  hostDigest = manifests.find(({ architecture }) => architecture === hostArchitecture())?.digest;
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function image(architecture: string): BuiltImage {
  const found = images.get(architecture);
  if (found === undefined) throw new Error(`there is no image for ${architecture}`);
  return found;
}

describe.each(['amd64', 'arm64'])('the image for %s', (architecture) => {
  test('runs the program as somebody with no rights', async () => {
    const { config, ...rest } = await image(architecture).config();
    expect(rest).toMatchObject({ architecture, created: '2001-09-09T01:46:40.000Z' });
    expect(config.User).toBe('16321:16321');
    expect(config.Entrypoint).toEqual(['/usr/local/bin/gke-metadata-server']);
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.version': source.version,
      'org.opencontainers.image.revision': source.revision ?? '',
      'org.opencontainers.image.source': source.url ?? '',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });

  test('has no program but the server and iptables', async () => {
    const files = await image(architecture).files();
    const programs = files.filter(({ path, mode }) => /(^|\/)s?bin\/./.test(path) && mode.startsWith('-'));
    expect(programs.map(({ path }) => path).sort()).toEqual([
      'usr/local/bin/gke-metadata-server',
      'usr/sbin/xtables-legacy-multi',
      'usr/sbin/xtables-nft-multi',
    ]);
    // what init-network runs: server/network/redirect-rules.ts
    const names = files.map(({ path }) => path);
    for (const program of ['iptables', 'ip6tables']) {
      for (const backend of ['nft', 'legacy']) {
        expect(names).toContain(`usr/sbin/${program}-${backend}`);
        expect(names).toContain(`usr/sbin/${program}-${backend}-save`);
      }
    }
  });

  test('has no file that anybody but root may write, and none that lends its owner', async () => {
    const files = await image(architecture).files();
    expect(files.length).toBeGreaterThan(150);
    for (const { mode, owner, path } of files) {
      expect([path, owner]).toEqual([path, '0/0']);
      expect([path, mode]).toEqual([path, expect.stringMatching(/^[-dl][r][w][-x]r-[-x]r-[-x]$/)]);
    }
  });

  test('tells scanners its packages, and has their licences', async () => {
    const names = (await image(architecture).files()).map(({ path }) => path);
    expect(names).toContain('usr/lib/os-release');
    expect(names).toContain('usr/share/doc/gke-metadata-server/copyright');
    const packages = names.flatMap((path) => /^var\/lib\/dpkg\/status\.d\/([^.]+)$/.exec(path)?.[1] ?? []);
    expect(packages).toContain('libc6');
    for (const name of packages) expect(names).toContain(`usr/share/doc/${name}/copyright`);
    expect(
      names.filter((path) => path.startsWith('var/') && !path.startsWith('var/lib/dpkg/status.d')),
    ).toEqual(['var/', 'var/lib/', 'var/lib/dpkg/']);
  });

  test.skipIf(Bun.which('readelf') === null)('has every library that its programs ask for', async () => {
    const root = join(folder, `root-${architecture}`);
    await image(architecture).unpack(root);
    const names = (await readdir(root, { recursive: true })).filter((path) => path.startsWith('usr/'));
    const binaries = names.filter((path) =>
      /^usr\/(s?bin|local\/bin|lib)\/.*(-multi|-server|\.so[.\d]*)$/.test(path),
    );
    const read = await runOrThrow(['readelf', '--dynamic', ...binaries.map((path) => join(root, path))]);
    const needed = new Set([...read.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, library]) => library));
    expect(needed).toContain('libc.so.6');
    expect(needed).toContain('libxtables.so.12');
    const present = new Set(names.map((path) => path.split('/').at(-1)));
    expect([...needed].filter((library) => !present.has(library))).toEqual([]);
  });
});

test('the same parts give the same image', async () => {
  const own = parts.filter(({ architecture }) => architecture === hostArchitecture());
  const again = await writeServerImage(join(folder, 'again'), own, source);
  expect(again.manifests.map(({ digest }) => digest)).toEqual([hostDigest ?? 'none']);
}, 120_000);

// needs what no other user may: a namespace of its own, and another root
test.skipIf(process.getuid?.() !== 0)('its programs start on nothing but the image', async () => {
  const root = join(folder, 'started');
  await image(hostArchitecture()).unpack(root);
  const inside = (command: string) =>
    run([
      ...['unshare', '--mount', '--net', 'sh', '-c'],
      `mkdir "$1/proc" && mount -t proc proc "$1/proc" && ${command}; result=$?; umount "$1/proc"; rmdir "$1/proc"; exit $result`,
      ...['sh', root],
    ]);
  const version = await inside(
    'chroot --userspec=16321:16321 "$1" /usr/local/bin/gke-metadata-server --version',
  );
  expect(version).toMatchObject({ exitCode: 0, stderr: '' });
  for (const name of ['nft', 'legacy'] as const) {
    const saved = await inside(`chroot "$1" /usr/sbin/iptables-${name} --version`);
    expect(saved).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('iptables v1') });
  }
  // there is no shell
  expect(await inside('chroot "$1" /bin/sh -c true')).toMatchObject({ exitCode: 127 });
});
