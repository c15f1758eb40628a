import { resolve } from 'node:path';
import { CommanderError, type CommandUnknownOpts, InvalidArgumentError } from '@commander-js/extra-typings';
import { endWithReader } from '../server/commands/process.ts';
import { Fault } from '../server/core/fault.ts';
import { strict } from '../server/settings/flags.ts';
import { UNAVAILABLE_STATUS, Unavailable } from './required-programs.ts';

/** The exit code of a command line that is wrong. */
export const BAD_USE = 2;

/** A path relative to the folder of the caller: scripts run in the repository, people anywhere. */
export function callerPath(path: string): string {
  // a variable that is not set, which would name the folder that the caller is in
  if (path === '') throw new InvalidArgumentError('It must not be empty.');
  // scripts/bun sets the folder that it was called in
  const { CALLED_FROM = process.cwd() } = process.env;
  return resolve(CALLED_FROM, path);
}

/** A key as cosign names it: a file, as {@link callerPath}, or a URI such as `env://VARIABLE`. */
export function callerKey(key: string): string {
  return /^[a-z][a-z0-9]+:/.test(key) ? key : callerPath(key);
}

/**
 * Runs a script's command until it ends and sets the exit code: 0 done, 1 failed, 2 bad use, which is one line, 3 this
 * machine cannot. `describe` is the text of an error.
 */
export async function runScript(
  command: CommandUnknownOpts,
  describe: (error: unknown) => string = describeError,
): Promise<void> {
  endWithReader(process.stdout);
  try {
    await strict(command).parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : BAD_USE;
    } else if (error instanceof Unavailable) {
      console.error(`not run: ${error.message}`);
      process.exitCode = UNAVAILABLE_STATUS;
    } else {
      console.error(describe(error));
      process.exitCode = 1;
    }
  }
}

/** The message, and the remedy or that of its cause. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Fault) return `${error.message}\n${error.remedy}`;
  return error.cause instanceof Error ? `${error.message}\nbecause: ${error.cause.message}` : error.message;
}
