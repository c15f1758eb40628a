import { bringPrograms, isMissing, type RequiredProgram } from '../required-programs.ts';

const NEEDED: readonly RequiredProgram[] = [
  { name: 'h2load', debianPackages: ['nghttp2-client'] },
  { name: 'taskset', debianPackages: ['util-linux'] },
  { name: 'unshare', debianPackages: ['util-linux'] },
  { name: 'ip', debianPackages: ['iproute2'] },
];
const NGINX: RequiredProgram = { name: 'nginx', debianPackages: ['nginx-light'] };

/**
 * Installs what is missing, as root on Debian or Ubuntu. Returns whether there is an nginx to compare
 * with. Throws, naming the packages, where something else is missing.
 */
export async function bringRequiredPrograms(): Promise<{ nginx: boolean }> {
  await bringPrograms(NEEDED, (line) => console.error(line), [NGINX]);
  return { nginx: !isMissing(NGINX) };
}
