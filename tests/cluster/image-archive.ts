import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';

interface ImageContents {
  /** The folder that becomes the image's only layer; owners become root, times the epoch. */
  readonly rootfs: string;
  /** Repository and tag, as a Pod's `image` names it. */
  readonly name: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** `UID:GID`; root by default. */
  readonly user?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** As Go names it. By default that of this machine. */
  readonly architecture?: 'amd64' | 'arm64';
}

/** The same folder gives the same bytes, with any owner and any timestamps. */
const deterministic = [
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--format=gnu',
];

/**
 * Writes a docker-archive (what `docker load` and `ctr images import` read) with no container engine:
 * one layer, a configuration, a manifest. The archive appears whole or not at all.
 */
export async function writeImageArchive(archive: string, contents: ImageContents): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    const layer = join(folder, 'layer.tar');
    await runOrThrow([
      'tar',
      '--create',
      '--file',
      layer,
      ...deterministic,
      '--directory',
      contents.rootfs,
      '.',
    ]);
    const layerDigest = await sha256(layer);
    const configuration = JSON.stringify(imageConfiguration(contents, layerDigest));
    const configurationFile = `${new Bun.CryptoHasher('sha256').update(configuration).digest('hex')}.json`;
    await Bun.write(join(folder, configurationFile), configuration);
    await mkdir(join(folder, layerDigest));
    await rename(layer, join(folder, layerDigest, 'layer.tar'));
    await Bun.write(
      join(folder, 'manifest.json'),
      JSON.stringify([
        { Config: configurationFile, RepoTags: [contents.name], Layers: [`${layerDigest}/layer.tar`] },
      ]),
    );
    const members = ['manifest.json', configurationFile, layerDigest];
    await runOrThrow([
      'tar',
      '--create',
      '--file',
      `${archive}.partial`,
      ...deterministic,
      '--directory',
      folder,
      ...members,
    ]);
    await rename(`${archive}.partial`, archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The image configuration of the Docker Image Specification v1.2, with what a runtime reads of it. */
function imageConfiguration(contents: ImageContents, layerDigest: string) {
  const environment = { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...contents.environment };
  return {
    architecture: contents.architecture ?? (process.arch === 'arm64' ? 'arm64' : 'amd64'),
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      User: contents.user ?? '',
      ...(contents.entrypoint && { Entrypoint: contents.entrypoint }),
      ...(contents.command && { Cmd: contents.command }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
    history: [{ created: '1970-01-01T00:00:00Z' }],
  };
}

async function sha256(file: string): Promise<string> {
  const hasher = new Bun.CryptoHasher('sha256');
  for await (const chunk of Bun.file(file).stream()) hasher.update(chunk);
  return hasher.digest('hex');
}
