import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Option } from '@commander-js/extra-typings';
import { initNetworkCommandOf } from './init-network-settings.ts';
import { serveCommandOf } from './serve-settings.ts';
import { tokenFileCommandOf } from './token-file-settings.ts';
import { webhookCommandOf } from './webhook-settings.ts';

const guide = await Bun.file(join(import.meta.dir, '../../docs/configuration.md')).text();

/** The first three cells of each flag's row below the heading of a command. */
function documented(command: string): string[][] {
  const [, section = ''] = guide.split(`\n## \`gke-metadata-server ${command}\`\n`);
  const [own = ''] = section.split('\n## ');
  const rows = own.match(/^\| `--.*$/gm) ?? [];
  return rows.map((row) => {
    const [, ...cells] = row.split('|').map((cell) => cell.trim());
    return cells.slice(0, 3);
  });
}

/** The third cell; undefined if a sentence describes the default. */
function defaultOf({ defaultValue, defaultValueDescription }: Option): string | undefined {
  const value = defaultValueDescription ?? defaultValue;
  return value === undefined || value === '' ? undefined : `\`${value}\``;
}

describe('the flags in docs/configuration.md are those there are, with their variables and defaults', () => {
  test.each([
    ['serve', serveCommandOf('serve').options],
    ['webhook', webhookCommandOf('webhook').options],
    ['init-network', initNetworkCommandOf('init-network').options],
    ['token-file', tokenFileCommandOf('token-file').options],
  ])('%s', (command, options) => {
    const rows = documented(command);
    const expected = options.map((option, index) => [
      `\`${option.long}\``,
      // read after the in-cluster configuration, so it is not the variable of the flag
      `\`${option.envVar ?? 'KUBECONFIG'}\``,
      defaultOf(option) ?? rows[index]?.[2],
    ]);
    expect<unknown>(rows).toEqual(expected);
  });
});
