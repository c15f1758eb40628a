import { mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RequiredProgram } from '../required-programs.ts';
import { runOrThrow } from '../run.ts';
import type { Architecture } from './architecture.ts';

/** The Debian release of the image, on any machine that builds it. */
export const RELEASE = 'trixie';

export const MMDEBSTRAP: RequiredProgram = {
  name: 'mmdebstrap',
  // the keys are not Ubuntu's own
  debianPackages: ['mmdebstrap', 'debian-archive-keyring'],
};

/** A package that was downloaded. */
export interface DebianPackage {
  readonly name: string;
  /** The `.deb` file. */
  readonly file: string;
}

/**
 * Downloads the latest versions of the named packages, security updates included, and nothing that they depend
 * on, into `folder`. Their signatures are checked: mmdebstrap knows the archive's mirrors and keys. It needs no
 * root, and an architecture needs no emulation, since nothing is installed.
 */
export async function downloadDebianPackages(
  folder: string,
  names: readonly string[],
  architecture: Architecture,
): Promise<readonly DebianPackage[]> {
  await mkdir(folder, { recursive: true });
  // "custom" and "null" are its words for neither installing nor packing anything: all that is done is the hook
  const command = ['mmdebstrap', '--quiet', '--variant=custom', '--mode=chrootless', '--format=null'];
  const hook =
    'cd "$PACKAGES_FOLDER" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq -o APT::Sandbox::User= download $PACKAGES';
  await runOrThrow([...command, `--architectures=${architecture}`, `--extract-hook=${hook}`, RELEASE], {
    env: { ...process.env, PACKAGES_FOLDER: resolve(folder), PACKAGES: names.join(' ') },
  });
  const files = (await readdir(folder)).filter((name) => name.endsWith('.deb')).sort();
  // they are called NAME_VERSION_ARCHITECTURE.deb
  return files.map((name) => ({ name: name.slice(0, name.indexOf('_')), file: join(folder, name) }));
}
