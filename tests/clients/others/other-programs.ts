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
  /** What asks who it is in each cloud, by the metadata server alone. */
  readonly metadata: { readonly newest: readonly string[]; readonly oldest: readonly string[] };
}

/** Installs the libraries of each language, or finds them installed. */
export async function installOthers(): Promise<readonly (OtherProgram | MissingClient)[]> {
  return await Promise.all([python(), node(), go()]);
}

async function python(): Promise<OtherProgram | MissingClient> {
  const name = 'Python';
  if (Bun.which('python3') === null) return { name, notRun: 'no python3 on PATH' };
  const folder = await installed('others/python', async (target) => {
    const install = async (environment: string, requirements: string) => {
      await runOrThrow(['python3', '-m', 'venv', environment]);
      const pip = [join(environment, 'bin/python'), '-m', 'pip', '--quiet', '--disable-pip-version-check'];
      const flags = ['--only-binary=:all:', '--require-hashes'];
      await runOrThrow([...pip, 'install', ...flags, '-r', join(HERE, 'python', requirements)]);
    };
    await install(target, 'requirements.txt');
    await install(join(target, 'oldest'), 'requirements-oldest.txt');
  });
  const metadata = (environment: string) => [
    join(environment, 'bin/python'),
    join(HERE, 'python/metadata.py'),
  ];
  return {
    name,
    command: [join(folder, 'bin/python'), join(HERE, 'python/client.py')],
    awsCli: join(folder, 'bin/aws'),
    metadata: { newest: metadata(folder), oldest: metadata(join(folder, 'oldest')) },
  };
}

async function node(): Promise<OtherProgram> {
  const folder = await installed('others/node', async (target) => {
    await cp(join(HERE, 'node'), target, { recursive: true });
    await runOrThrow([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], { cwd: target });
  });
  const run = (program: string, ...args: string[]) => [
    Bun.which('node') ?? process.execPath,
    join(folder, program),
    ...args,
  ];
  const metadata = { newest: run('metadata.js', 'newest'), oldest: run('metadata.js', 'oldest') };
  return { name: 'Node', command: run('client.js'), metadata };
}

async function go(): Promise<OtherProgram | MissingClient> {
  const name = 'Go';
  if (Bun.which('go') === null) return { name, notRun: 'no go on PATH' };
  const folder = await installed('others/go', async (target) => {
    const build = (output: string, ...source: string[]) =>
      runOrThrow(['go', 'build', '-o', join(target, output), ...source], { cwd: join(HERE, 'go') });
    await build('client', '.');
    await build('metadata', 'metadata.go');
    await build('metadata-oldest', '-modfile=oldest.mod', 'metadata.go');
  });
  const metadata = { newest: [join(folder, 'metadata')], oldest: [join(folder, 'metadata-oldest')] };
  return { name, command: [join(folder, 'client')], metadata };
}
