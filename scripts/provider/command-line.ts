import type { Finished } from '../run.ts';
import { Failure } from './failure.ts';

/** Runs a program to its end; throws where there is none of that name. */
export type RunProgram = (command: readonly string[]) => Promise<Finished>;

/** The outcome of a program. Throws where it is not on PATH, with how to get it. */
export async function runInstalled(
  run: RunProgram,
  command: readonly string[],
  install: string,
): Promise<Finished> {
  try {
    return await run(command);
  } catch {
    throw new Failure(`${command[0]} is not on PATH.`, install);
  }
}

/** As a person types it into a POSIX shell. */
export function shellLine(command: readonly string[]): string {
  return command.map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
