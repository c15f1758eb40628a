import { MMDEBSTRAP, RELEASE } from '../../scripts/image/debian-packages.ts';
import { bringPrograms, isMissing, type RequiredProgram } from '../../scripts/required-programs.ts';
import { runOrThrow } from '../../scripts/run.ts';
import type { Cache } from '../../scripts/tools/cache.ts';

const BUILDAH: RequiredProgram = { name: 'buildah', debianPackages: ['buildah'] };

/** Why the Containerfile cannot be built here, for people; undefined if it can. */
export function whyNoContainerfile(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  return isMissing(BUILDAH) ? 'needs buildah' : undefined;
}

/** Installs what {@link whyNoContainerfile} misses if possible, and makes the builder. */
export async function prepareContainerfile(cache: Cache): Promise<void> {
  if (process.getuid?.() !== 0) return;
  await bringPrograms([MMDEBSTRAP], cache.report, [BUILDAH]);
  if (whyNoContainerfile() === undefined) await builderArchive(cache);
}

/**
 * A Debian with the CA certificates of this machine, as the archive of its root: with Bun added, it replaces the
 * Containerfile's builder.
 */
export function builderArchive(cache: Cache): Promise<string> {
  return cache.get(`containerfile-builder-${RELEASE}.tar`, async (archive) => {
    const certificates = '/etc/ssl/certs/ca-certificates.crt';
    await runOrThrow([
      ...[
        'mmdebstrap',
        '--quiet',
        '--variant=apt',
        '--mode=root',
        '--format=tar',
        '--include=ca-certificates',
      ],
      ...[`--customize-hook=copy-in ${certificates} /etc/ssl/certs`, RELEASE, archive],
    ]);
  });
}
