#!/usr/bin/env bun
import { Command, CommanderError } from '@commander-js/extra-typings';
import { version } from '../package.json';
import { explainCommand } from './commands/explain.ts';
import { initNetworkCommand } from './commands/init-network.ts';
import { endOnSignals, endWithReader } from './commands/process.ts';
import { sandboxCommand } from './commands/sandbox.ts';
import { serveCommand } from './commands/serve.ts';
import { tokenFileCommand } from './commands/token-file.ts';
import { webhookCommand } from './commands/webhook.ts';
import { Fault } from './core/fault.ts';
import { oneLine, strict } from './settings/flags.ts';

const FAILURE = 1;
const BAD_USE = 2;

const program = new Command('gke-metadata-server')
  .description('Google credentials for the Pods of any Kubernetes cluster, as on GKE.')
  .version(version);
for (const command of [
  serveCommand(),
  webhookCommand(),
  initNetworkCommand(),
  tokenFileCommand(),
  explainCommand(),
  sandboxCommand(),
]) {
  program.addCommand(command);
}
strict(program);

endOnSignals();
endWithReader(process.stdout);
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : BAD_USE);
  if (!(error instanceof Fault)) throw error;
  console.error(oneLine(`error: ${error.message}. ${error.remedy}`));
  process.exit(error.code === 'setting-invalid' ? BAD_USE : FAILURE);
}
