import type { Command } from 'commander';

/**
 * Makes what is wrong with a command line one line on standard error, for the command and those added to it, and an
 * error of commander's in place of an exit. What a command cannot know is reported before what it was not given.
 */
export function strict<T extends Command>(command: T): T {
  command.exitOverride().configureOutput({ outputError: (text, write) => write(`${oneLine(text)}\n`) });
  for (const each of command.commands) each.copyInheritedSettings(command);
  for (const each of [command, ...command.commands]) reportMissingLast(each);
  return command;
}

/** A text as one line: a line that begins a sentence follows a full stop. */
export function oneLine(text: string): string {
  return text
    .trim()
    .replaceAll(/(?<![.:!?])\s*\n\s*(?=[A-Z])/g, '. ')
    .replaceAll(/\s*\n\s*/g, ' ');
}

/** commander looks for mandatory options first, and would hide a misspelt one behind the one that it was meant for. */
function reportMissingLast(command: Command): void {
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) option.mandatory = false;
  command.hook('preAction', (_, acting) => {
    if (acting !== command) return;
    const missing = required.filter((option) => command.getOptionValue(option.attributeName()) === undefined);
    if (missing.length === 0) return;
    const names = missing.map(({ long, envVar }) => (envVar === undefined ? long : `${long} (${envVar})`));
    command.error(`error: missing ${names.join(', ')}`, { code: 'commander.missingMandatoryOptionValue' });
  });
}
