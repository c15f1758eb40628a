import { join } from 'node:path';
import { runOrThrow } from '../../../scripts/run.ts';
import { installed } from '../client-programs.ts';

const HERE = import.meta.dir;

/** CoreDNS, compiled or found compiled; undefined without Go. */
export async function coreDnsProgram(): Promise<string | undefined> {
  if (Bun.which('go') === null) return undefined;
  const folder = await installed('core-dns/go', async (target) => {
    await runOrThrow(['go', 'build', '-o', join(target, 'coredns'), '.'], { cwd: join(HERE, 'go') });
  });
  return join(folder, 'coredns');
}
