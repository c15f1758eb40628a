import { runOrThrow } from '../run.ts';

interface Program {
  readonly name: string;
  readonly debianPackage: string;
}

const NEEDED: readonly Program[] = [
  { name: 'h2load', debianPackage: 'nghttp2-client' },
  { name: 'taskset', debianPackage: 'util-linux' },
  { name: 'unshare', debianPackage: 'util-linux' },
  { name: 'ip', debianPackage: 'iproute2' },
];
const NGINX: Program = { name: 'nginx', debianPackage: 'nginx-light' };

/**
 * Installs what is missing where this is root on Debian or Ubuntu. Returns whether there is an nginx to compare
 * with. Throws, naming the packages, where something else is missing.
 */
export async function bringRequiredPrograms(): Promise<{ nginx: boolean }> {
  const missing = [...NEEDED, NGINX].filter(isMissing).map(({ debianPackage }) => debianPackage);
  if (missing.length > 0 && process.getuid?.() === 0 && Bun.which('apt-get') !== null) {
    console.error(`Installing ${missing.join(', ')} ...`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = ['apt-get', '--quiet', '--yes'];
    await runOrThrow([...apt, 'update'], { env })
      .then(() => runOrThrow([...apt, 'install', '--no-install-recommends', ...missing], { env }))
      .catch((error: unknown) => console.error(String(error)));
  }
  const still = NEEDED.filter(isMissing);
  if (still.length === 0) return { nginx: !isMissing(NGINX) };
  const names = still.map(({ name, debianPackage }) => `${name} (Debian: ${debianPackage})`);
  throw new Error(`Missing: ${names.join(', ')}. Install it, or run this as root on Debian or Ubuntu.`);
}

function isMissing({ name }: Program): boolean {
  return Bun.which(name, { PATH: programPath() }) === null;
}

/** Where programs are looked for: also where Debian puts those of the system, which a user's PATH may lack. */
export function programPath(): string {
  const { PATH = '' } = process.env;
  return `${PATH}:/usr/sbin:/sbin`;
}
