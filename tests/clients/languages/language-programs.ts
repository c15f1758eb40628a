import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runOrThrow } from '../../../scripts/run.ts';
import {
  type ClientProgram,
  DENIED,
  installed,
  type MissingClient,
  NOT_ANNOTATED,
} from '../client-programs.ts';

const HERE = import.meta.dir;
// what a first build on a slow machine takes
const BUILD_TIMEOUT = 1_200_000;

/** The clients of languages whose compilers and libraries take minutes to bring: installed, or found installed. */
export async function installLanguages(): Promise<readonly (ClientProgram | MissingClient)[]> {
  // one after the other would be slower: the first waits for its downloads, the second for the processor
  const [java, rust, ruby] = await Promise.all([javaClient(), rustClients(), rubyClient()]);
  return [java, ...rust, ruby, phpClient()];
}

async function javaClient(): Promise<ClientProgram | MissingClient> {
  const name = 'Java google-auth-library and google-cloud-core';
  for (const program of ['javac', 'mvn']) {
    if (Bun.which(program) === null) return { name, notRun: `no ${program} on PATH` };
  }
  const folder = await installed('languages/java', async (target) => {
    await cp(join(HERE, 'java'), target, { recursive: true });
    const maven = ['mvn', '--batch-mode', '--quiet', 'dependency:copy-dependencies', '-DoutputDirectory=lib'];
    await runOrThrow(maven, { cwd: target, timeout: BUILD_TIMEOUT });
    await runOrThrow(['javac', '-d', 'classes', '-cp', 'lib/*', 'Client.java'], { cwd: target });
  });
  return {
    name,
    command: ['java', '-cp', `${join(folder, 'lib/*')}:${join(folder, 'classes')}`, 'Client'],
    asksForScopes: true,
    byVariables: 'no project',
    noIDToken: /404/,
    denied: /403/,
  };
}

async function rustClients(): Promise<readonly (ClientProgram | MissingClient)[]> {
  const name = 'Rust google-cloud-auth';
  if (Bun.which('cargo') === null) return [{ name, notRun: 'no cargo on PATH' }];
  // google-cloud-auth 1.18 needs it
  const { stdout } = await run(['rustc', '--version']);
  const minor = Number(/^rustc 1\.(\d+)/.exec(stdout)?.[1] ?? 0);
  if (minor < 91) return [{ name, notRun: `rustc is older than 1.91: ${stdout.trim()}` }];
  const folder = await installed('languages/rust', async (target) => {
    const cargo = ['cargo', 'build', '--locked', '--quiet', '--target-dir', target];
    await runOrThrow(cargo, { cwd: join(HERE, 'rust'), timeout: BUILD_TIMEOUT });
  });
  const program = join(folder, 'debug/google-client');
  return [
    {
      name,
      command: [program, 'google-cloud-auth'],
      asksForScopes: true,
      lacks: ['projectID', 'universe', 'email'],
      noIDToken: NOT_ANNOTATED,
      denied: DENIED,
    },
    {
      name: 'Rust gcp_auth',
      // else it asks a gcloud on PATH, which is another client
      command: ['env', 'PATH=', program, 'gcp_auth'],
      asksForScopes: false,
      lacks: ['universe', 'email', 'idToken'],
      byVariables: 'nothing',
      noIDToken: NOT_ANNOTATED,
      // it keeps the reason to itself
      denied: /no available authentication method found/,
    },
  ];
}

async function rubyClient(): Promise<ClientProgram | MissingClient> {
  const name = 'Ruby googleauth (of Debian)';
  const library = () => run(['ruby', '-e', 'require "googleauth"']).then(({ exitCode }) => exitCode === 0);
  if (Bun.which('ruby') === null || !(await library())) {
    if (Bun.which('apt-get') === null || process.getuid?.() !== 0) {
      return { name, notRun: 'neither ruby with googleauth nor apt-get as root' };
    }
    await runOrThrow(['apt-get', 'update']);
    await runOrThrow(['apt-get', 'install', '--yes', '--no-install-recommends', 'ruby', 'ruby-googleauth']);
  }
  return {
    name,
    command: ['ruby', join(HERE, 'ruby/client.rb')],
    asksForScopes: false,
    // 0.13 only reads an ID token of the type text/html, which GKE does not send either
    lacks: ['projectID', 'universe', 'email', 'idToken'],
    byVariables: 'nothing',
    noIDToken: /404/,
    denied: /403/,
    // what newer versions want before they ask at all
    variables: { K_SERVICE: 'none', K_REVISION: 'none', K_CONFIGURATION: 'none' },
  };
}

function phpClient(): MissingClient {
  return {
    name: 'PHP google/auth',
    notRun: 'it is neither in Debian nor in a registry that these tests install from',
  };
}
