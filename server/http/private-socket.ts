import { chmod, unlink } from 'node:fs/promises';
import type { Effects } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';

const PATIENCE = 2000;

/**
 * Serves one text on a Unix socket that only this user may connect to, replacing one that an earlier process left at the
 * path. Who may reach it at all, the file system decides: a path is of one mount namespace, whichever network it is in.
 * Throws if it cannot listen there.
 */
export async function servePrivately(path: string, text: () => string): Promise<AsyncDisposable> {
  await unlink(path).catch(() => {});
  const server = Bun.serve({
    unix: path,
    fetch: () => new Response(text()),
    error: () => new Response('Internal Server Error', { status: 500 }),
  });
  await chmod(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      await unlink(path).catch(() => {});
    },
  };
}

/** The text that is served at `path`. Throws if nobody serves one there in time. */
export async function askPrivately(
  path: string,
  { fetch, sleep }: Pick<Effects, 'fetch' | 'sleep'>,
): Promise<string> {
  const late = () => new Error('no answer in time');
  return withTimeLimit(sleep, PATIENCE, late, undefined, async (signal) => {
    const response = await fetch('http://localhost/', { unix: path, signal });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return response.text();
  });
}
