import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runOrThrow } from '../../scripts/run.ts';

/** A program that prints what a client library sees. Arguments: the audience of an ID token, then scopes. */
export interface ClientProgram {
  readonly name: string;
  readonly command: readonly string[];
  /** False if it has no way to ask for other scopes than the default. */
  readonly asksForScopes: boolean;
  /** What it has no call for; nothing by default. */
  readonly lacks?: readonly ('projectID' | 'universe' | 'email' | 'idToken')[];
  /**
   * What it finds by the three variables alone, as in mode Environment: everything by default, everything but the
   * project, or not even the server.
   */
  readonly byVariables?: 'no project' | 'nothing';
  /** Variables that it needs beside them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Its own error if the ServiceAccount has no annotation: the response is 404, with the text E2 of GKE. */
  readonly noIDToken: RegExp;
  /** Its own error if IAM denies: the response is 403, with IAM's message. */
  readonly denied: RegExp;
}

/** A client that cannot run here, and why. */
export interface MissingClient {
  readonly name: string;
  readonly notRun: string;
}

const HERE = import.meta.dir;
export const NOT_ANNOTATED = /\(default\/direct\) is not annotated with a target Google service account/;
export const DENIED = /IAM returned 403 Forbidden: Permission .*iam\.serviceAccounts\.get\w+.* denied/;
const CACHE = join(HERE, '../../.cache/clients');

/** Installs each client's pinned libraries, or finds them installed. Throws if an installation fails. */
export async function installClients(): Promise<readonly (ClientProgram | MissingClient)[]> {
  const [python, node, go] = await Promise.all([pythonClients(), nodeClients(), goClient()]);
  const clients = [...python, ...node.map(nodeClient), go];
  // it needs no program beside it: its tests make its command lines themselves
  return Bun.which('curl') === null ? [...clients, { name: 'curl', notRun: 'no curl on PATH' }] : clients;
}

/** The newest google-auth, and the oldest that are still in use. */
const PYTHON_LOCKS = ['requirements.txt', 'requirements-2.17.txt', 'requirements-1.35.txt'] as const;

/** Installs google-auth in each version, or finds it installed. */
export async function pythonClients(): Promise<readonly (ClientProgram | MissingClient)[]> {
  const name = 'Python client';
  if (Bun.which('python3') === null) return [{ name, notRun: 'no python3 on PATH' }];
  // the lock files are made for these; an older one wants other packages
  const check = 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))';
  const { exitCode } = await run(['python3', '-c', check]);
  if (exitCode !== 0) return [{ name, notRun: 'python3 is older than 3.11 or has no venv module' }];
  const folder = await installed('python', async (target) => {
    await Promise.all(
      PYTHON_LOCKS.map(async (lock) => {
        const environment = join(target, lock);
        await runOrThrow(['python3', '-m', 'venv', environment]);
        const pip = [join(environment, 'bin/python'), '-m', 'pip', '--quiet', '--disable-pip-version-check'];
        const flags = ['--only-binary=:all:', '--require-hashes'];
        await runOrThrow([...pip, 'install', ...flags, '-r', join(HERE, 'python', lock)]);
      }),
    );
  });
  return PYTHON_LOCKS.map((lock) => ({
    name: `Python google-auth ${/-([\d.]+)\.txt$/.exec(lock)?.[1] ?? '(newest)'}`,
    command: [join(folder, lock, 'bin/python'), join(HERE, 'python/client.py')],
    asksForScopes: true,
    noIDToken: NOT_ANNOTATED,
    denied: DENIED,
  }));
}

/** google-auth-library in each major version that is still in use. */
const NODE_VERSIONS = [7, 8, 9, 10, 11];
// older ones give up as soon as the name cannot be resolved, and say no more of a refusal than its status
const FIRST_PATIENT_VERSION = 10;

/** A version of google-auth-library, and how its programs are run: with the name of the library first. */
interface NodeLibrary {
  readonly name: string;
  /** Whether it waits for the address after the name could not be resolved, and shows the text of a refusal. */
  readonly patient: boolean;
  command(program: 'client.js' | 'find.js'): readonly string[];
}

/** Installs each version, or finds them installed. */
export async function nodeClients(): Promise<readonly NodeLibrary[]> {
  const folder = await installed('node', async (target) => {
    await cp(join(HERE, 'node'), target, { recursive: true });
    await runOrThrow([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], { cwd: target });
  });
  const node = Bun.which('node');
  return NODE_VERSIONS.map((version) => ({
    name: `${node === null ? 'Bun, as no node is on PATH,' : 'Node'} google-auth-library ${version}`,
    patient: version >= FIRST_PATIENT_VERSION,
    command: (program) => [node ?? process.execPath, join(folder, program), `google-auth-library-${version}`],
  }));
}

function nodeClient({ name, patient, command }: NodeLibrary): ClientProgram {
  return {
    name,
    command: command('client.js'),
    asksForScopes: true,
    noIDToken: patient ? NOT_ANNOTATED : /failed with status code 404/,
    denied: patient ? DENIED : /failed with status code 403/,
  };
}

async function goClient(): Promise<ClientProgram | MissingClient> {
  const name = 'Go client';
  const go = Bun.which('go');
  if (go === null) return { name, notRun: 'no go on PATH' };
  const cwd = join(HERE, 'go');
  const { exitCode, stderr } = await run([go, 'version'], { cwd });
  if (exitCode !== 0) return { name, notRun: stderr.trim() };
  const folder = await installed('go', async (target) => {
    await runOrThrow([go, 'build', '-o', join(target, 'client'), '.'], { cwd });
  });
  const command = [join(folder, 'client')];
  return { name, command, asksForScopes: true, noIDToken: /^metadata: .* not defined$/, denied: DENIED };
}

/**
 * The folder in the cache that `install` has filled for just these sources, in a folder here; older ones are removed.
 */
export async function installed(client: string, install: (target: string) => Promise<void>): Promise<string> {
  const target = join(CACHE, client, await fingerprint(join(HERE, client)));
  const done = Bun.file(join(target, '.installed'));
  if (await done.exists()) return target;
  await rm(join(CACHE, client), { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await install(target);
  await done.write('');
  return target;
}

async function fingerprint(folder: string): Promise<string> {
  const hash = new Bun.CryptoHasher('sha256');
  const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  for (const { name } of files.sort((a, b) => a.name.localeCompare(b.name))) {
    hash.update(name).update(await Bun.file(join(folder, name)).bytes());
  }
  return hash.digest('hex').slice(0, 16);
}
