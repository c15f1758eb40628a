import { runOrThrow } from '../run.ts';

/**
 * Has a file read from the disk again when it is next used, as after a restart of the Node. What has just been
 * written lies in memory in larger pieces, of which a program that runs it gets some 6 MB more mapped.
 */
export async function dropFromPageCache(file: string): Promise<void> {
  await runOrThrow(['sync', file]);
  await runOrThrow(['dd', `if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}
