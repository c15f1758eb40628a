import { programPath } from '../required-programs.ts';
import { runOrThrow } from '../run.ts';
import { POD_ADDRESSES } from './cluster.ts';
import { LOAD_CORE } from './machine.ts';

const INSIDE = 'BENCH_INSIDE_NAMESPACE';

/** Whether this process runs in the namespace that {@link runInside} makes. */
export function isInside(): boolean {
  return process.env[INSIDE] === 'yes';
}

/**
 * Runs a program in a network namespace of its own, on the load's core, and returns its exit code. There every
 * port is free, nothing reaches in or out, and every Pod's address is one from which a client can connect.
 */
export async function runInside(command: readonly string[]): Promise<number> {
  const own = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
  const child = Bun.spawn(['unshare', ...own, 'taskset', '-c', LOAD_CORE, ...command], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, PATH: programPath(), [INSIDE]: 'yes' },
  });
  return child.exited;
}

/**
 * Gives the Pods' addresses to the loopback interface of the namespace. A connection to one of them comes from the
 * same one, as Linux chooses it, so a client is a Pod by the address it asks at.
 */
export async function addPodAddresses(): Promise<void> {
  await runOrThrow(['ip', 'link', 'set', 'lo', 'up']);
  for (const address of POD_ADDRESSES)
    await runOrThrow(['ip', 'address', 'add', `${address}/32`, 'dev', 'lo']);
}
