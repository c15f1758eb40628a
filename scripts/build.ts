import { Command, CommanderError, Option } from 'commander';
import { compileServer } from './compile-server.ts';

const BAD_USE = 2;
const TARGETS = ['bun-linux-x64', 'bun-linux-arm64'] as const;

const command = new Command('scripts/build')
  .description('Compiles the program and Bun into one executable that needs nothing but glibc.')
  .addOption(new Option('--target <target>', 'what it is to run on (default: this machine)').choices(TARGETS))
  .option('--outfile <file>', 'where to put it', 'dist/gke-metadata-server')
  .allowExcessArguments(false)
  .showHelpAfterError()
  .exitOverride();

try {
  // the choices above are the proof of the type
  const { target, outfile } = command.parse().opts<{ target?: (typeof TARGETS)[number]; outfile: string }>();
  await compileServer(outfile, target);
  console.log(outfile);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exit(error.exitCode === 0 ? 0 : BAD_USE);
}
