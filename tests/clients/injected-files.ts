import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Finished, run } from '../../scripts/run.ts';

/** A program starts an interpreter, and gcloud needs a while on a slow machine. */
const TIMEOUT = 120_000;
const MOUNTED = '/var/run';

/** Whether programs can have a `/var/run` of their own here. */
export async function canMount(): Promise<boolean> {
  const [unshare] = mountNamespace();
  return Bun.which(unshare ?? '') !== null && (await run([...mountNamespace(), 'true'])).exitCode === 0;
}

/**
 * Runs a program with these files and directories, by path below `/var/run`, and these variables alone: as in a
 * container that mounts them. Nothing of it is seen by others.
 */
export async function runWithFiles(
  command: readonly string[],
  files: Readonly<Record<string, string>>,
  directories: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Finished> {
  const source = await mkdtemp(join(tmpdir(), 'gkems-files-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      await Bun.write(join(source, withinMount(path)), content);
    }
    const made = directories.map((path) => `mkdir -p '${path}'`).join(' && ') || 'true';
    const script = `mount -t tmpfs none $(realpath ${MOUNTED}) && cp -r '${source}/.' ${MOUNTED} && ${made} && exec "$@"`;
    const { PATH } = process.env;
    // no home, as in many images: what is needed must be among the files and variables
    return await run([...mountNamespace(), 'sh', '-c', script, 'sh', ...command], {
      cwd: '/',
      env: { PATH, HOME: '/nonexistent', ...variables },
      timeout: TIMEOUT,
    });
  } finally {
    await rm(source, { recursive: true, force: true });
  }
}

function mountNamespace(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return ['unshare', ...user, '--mount'];
}

function withinMount(path: string): string {
  if (!path.startsWith(`${MOUNTED}/`)) throw new Error(`${dirname(path)} is outside ${MOUNTED}`);
  return path.slice(MOUNTED.length + 1);
}
