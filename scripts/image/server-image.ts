import { chmod, copyFile, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Architecture } from './architecture.ts';
import { NONROOT, packagesOf } from './base-root.ts';
import { RELEASE } from './debian-packages.ts';
import { makeLayer } from './layer.ts';
import { type ImageSettings, type PlatformImage, type WrittenLayout, writeOciLayout } from './oci-layout.ts';
import type { SourceVersion } from './source-version.ts';

const PROGRAM = 'usr/local/bin/gke-metadata-server';
const LICENCE = 'usr/share/doc/gke-metadata-server/copyright';
const REPOSITORY = join(import.meta.dir, '../..');

/** What the image of one platform is made of. */
export interface PlatformParts {
  readonly architecture: Architecture;
  /** A folder made by `makeBaseRoot`; it is only read. */
  readonly baseRoot: string;
  /** The program compiled for the platform. */
  readonly program: string;
}

/**
 * Writes the server's image as an OCI layout into `folder`. It has two layers, of which the lower one changes only
 * with Debian's packages. `name` as for `writeOciLayout`.
 */
export async function writeServerImage(
  folder: string,
  platforms: readonly PlatformParts[],
  source: SourceVersion,
  name?: string,
): Promise<WrittenLayout> {
  const images: PlatformImage[] = [];
  const scratch = await mkdtemp(join(tmpdir(), 'server-image-'));
  try {
    for (const { architecture, baseRoot, program } of platforms) {
      const [base, own] = [join(scratch, `${architecture}-base`), join(scratch, `${architecture}-program`)];
      await cp(baseRoot, base, { recursive: true, verbatimSymlinks: true });
      await addProgram(own, program);
      images.push({
        architecture,
        layers: [
          await makeLayer(base, `Debian ${RELEASE}: ${(await packagesOf(base)).join(' ')}`),
          await makeLayer(own, 'scripts/build'),
        ],
      });
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return writeOciLayout(folder, images, serverImageSettings(source), name);
}

/** Puts the compiled program and its licence into the image's root. */
export async function addProgram(root: string, program: string): Promise<void> {
  const files = [
    { path: PROGRAM, content: program, mode: 0o755 },
    { path: LICENCE, content: join(REPOSITORY, 'LICENSE'), mode: 0o644 },
  ];
  for (const { path, content, mode } of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await copyFile(content, join(root, path));
    await chmod(join(root, path), mode);
  }
}

/** How a runtime starts the image, and what the image says of itself. */
export function serverImageSettings({ version, revision, created, url }: SourceVersion): ImageSettings {
  return {
    user: `${NONROOT}:${NONROOT}`,
    entrypoint: [`/${PROGRAM}`],
    environment: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    created,
    labels: {
      'org.opencontainers.image.title': 'gke-metadata-server',
      'org.opencontainers.image.description': 'A GKE metadata server for any Kubernetes cluster',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.created': created.toISOString(),
      ...(revision !== undefined && { 'org.opencontainers.image.revision': revision }),
      ...(url !== undefined && { 'org.opencontainers.image.source': url }),
    },
  };
}
