import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../../scripts/run.ts';
import { installed, type MissingClient } from '../client-programs.ts';

const HERE = import.meta.dir;

/** Libraries of other clouds, in one language. */
export interface OtherProgram {
  readonly name: string;
  readonly command: readonly string[];
  /** The AWS CLI, if it comes with them. */
  readonly awsCli?: string;
}

/** Installs the libraries of each language, or finds them installed. */
export async function installOthers(): Promise<readonly (OtherProgram | MissingClient)[]> {
  return await Promise.all([python(), node(), go()]);
}

async function python(): Promise<OtherProgram | MissingClient> {
  const name = 'Python';
  if (Bun.which('python3') === null) return { name, notRun: 'no python3 on PATH' };
  const folder = await installed('others/python', async (target) => {
    await runOrThrow(['python3', '-m', 'venv', target]);
    const pip = [join(target, 'bin/python'), '-m', 'pip', '--quiet', '--disable-pip-version-check'];
    const flags = ['--only-binary=:all:', '--require-hashes'];
    await runOrThrow([...pip, 'install', ...flags, '-r', join(HERE, 'python/requirements.txt')]);
  });
  return {
    name,
    command: [join(folder, 'bin/python'), join(HERE, 'python/client.py')],
    awsCli: join(folder, 'bin/aws'),
  };
}

async function node(): Promise<OtherProgram> {
  const folder = await installed('others/node', async (target) => {
    await cp(join(HERE, 'node'), target, { recursive: true });
    await runOrThrow([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], { cwd: target });
  });
  return { name: 'Node', command: [Bun.which('node') ?? process.execPath, join(folder, 'client.js')] };
}

async function go(): Promise<OtherProgram | MissingClient> {
  const name = 'Go';
  if (Bun.which('go') === null) return { name, notRun: 'no go on PATH' };
  const folder = await installed('others/go', async (target) => {
    await runOrThrow(['go', 'build', '-o', join(target, 'client'), '.'], { cwd: join(HERE, 'go') });
  });
  return { name, command: [join(folder, 'client')] };
}
