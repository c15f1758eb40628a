import { runOrThrow } from './run.ts';

/** A program that must be on PATH, and its package on Debian and Ubuntu. */
export interface RequiredProgram {
  readonly name: string;
  readonly debianPackages: readonly string[];
}

/**
 * Installs what is missing, as root on Debian or Ubuntu, and reports it. Throws, naming the packages,
 * where something is missing still. What is `optional` may be.
 */
export async function bringPrograms(
  needed: readonly RequiredProgram[],
  report: (line: string) => void,
  optional: readonly RequiredProgram[] = [],
): Promise<void> {
  const packages = [...needed, ...optional].filter(isMissing).flatMap(({ debianPackages }) => debianPackages);
  if (packages.length > 0 && process.getuid?.() === 0 && Bun.which('apt-get') !== null) {
    report(`installing ${packages.join(', ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = ['apt-get', '--quiet', '--yes', '-o', 'DPkg::Lock::Timeout=300'];
    await runOrThrow([...apt, 'update'], { env })
      .then(() => runOrThrow([...apt, 'install', '--no-install-recommends', ...packages], { env }))
      .catch((error: unknown) => report(String(error)));
  }
  const still = needed.filter(isMissing);
  if (still.length === 0) return;
  const names = still.map(({ name, debianPackages }) => `${name} (Debian: ${debianPackages.join(', ')})`);
  throw new Error(`Missing: ${names.join(', ')}. Install it, or run this as root on Debian or Ubuntu.`);
}

export function isMissing({ name }: RequiredProgram): boolean {
  return Bun.which(name, { PATH: programPath() }) === null;
}

/** Where programs are looked for: also where Debian puts those of the system, which a user's PATH may lack. */
export function programPath(): string {
  const { PATH = '' } = process.env;
  return `${PATH}:/usr/sbin:/sbin`;
}

/** This machine, or the cluster it was given, cannot do what was asked: reported as not run, never as passed. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The exit code of a script that threw {@link Unavailable}. */
export const UNAVAILABLE_STATUS = 3;
