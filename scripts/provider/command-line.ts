import type { Finished } from '../run.ts';
import { NotInstalled } from './failure.ts';

/** Runs a program until it ends; throws if there is none of that name. */
export type RunProgram = (command: readonly string[]) => Promise<Finished>;

/** The outcome of a program. Throws {@link NotInstalled}, which says how to get it. */
export async function runInstalled(
  run: RunProgram,
  command: readonly string[],
  install: string,
): Promise<Finished> {
  try {
    return await run(command);
  } catch {
    throw new NotInstalled(`${command[0]} is not on PATH.`, install);
  }
}

/** As a person types it into a POSIX shell. */
export function shellLine(command: readonly string[]): string {
  return command.map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
