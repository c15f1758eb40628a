import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from '@commander-js/extra-typings';
import { compileServer, recordUsedFunctions, USED_FUNCTIONS } from './compile-server.ts';
import { callerPath, runScript } from './script.ts';

const TARGETS = ['bun-linux-x64', 'bun-linux-arm64'] as const;

interface Options {
  // the choices below are the proof of the type
  readonly target?: (typeof TARGETS)[number];
  readonly outfile: string;
  readonly recordUsedFunctions: boolean;
}

const command = new Command('scripts/build')
  .description('Compiles the program and Bun into one executable that needs nothing but glibc.')
  .addOption(
    new Option('--target <target>', 'platform of the program (default: this machine)').choices(TARGETS),
  )
  .option('--outfile <file>', 'file to write', callerPath, 'dist/gke-metadata-server')
  .option(
    '--record-used-functions',
    'write scripts/used-functions.txt again instead, if a test reports that it no longer fits',
    false,
  )
  .action(build);

async function record(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'build-'));
  try {
    const program = join(folder, 'program');
    await compileServer(program);
    await Bun.write(USED_FUNCTIONS, await recordUsedFunctions(program));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function build(options: Options): Promise<void> {
  if (options.recordUsedFunctions) {
    await record();
    console.log(USED_FUNCTIONS);
  } else {
    await compileServer(options.outfile, options.target);
    console.log(options.outfile);
  }
}

await runScript(command);
