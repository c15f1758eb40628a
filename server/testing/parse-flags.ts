import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';

/** The settings of a command line, without this process's environment, or the error it prints. */
export function parseFlags<C extends CommandUnknownOpts, Settings>(
  command: C,
  settingsOf: (command: C) => Settings,
  args: readonly string[],
): { readonly settings: Settings | undefined; readonly error: string } {
  const errors: string[] = [];
  command.exitOverride().configureOutput({ writeErr: (text) => errors.push(text), writeOut: () => {} });
  for (const option of command.options) delete option.envVar;
  try {
    command.parse([...args], { from: 'user' });
    return { settings: settingsOf(command), error: '' };
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { settings: undefined, error: errors.join('') };
  }
}
