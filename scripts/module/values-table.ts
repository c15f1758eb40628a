import type { ConfigField } from './config-fields.ts';

const BEGIN = '<!-- made by ./scripts/generate readme, from #Config -->';
const END = '<!-- /made by ./scripts/generate readme -->';

/** A text with the values in place of those between its two marks. Throws if it lacks them. */
export function withValuesTable(text: string, fields: readonly ConfigField[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`there is no ${BEGIN} … ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${valuesTable(fields)}\n\n${text.slice(end)}`;
}

/** Markdown: every value with its type, default and comment, and what the types are. */
function valuesTable(fields: readonly ConfigField[]): string {
  const seen = new Set<string>();
  const rows = fields.flatMap((field) => {
    // a struct has a row above its first field, where its comment stands
    const begun = field.structs.filter(({ path, description }) => description !== '' && !seen.has(path));
    for (const { path } of begun) seen.add(path);
    return [...begun.map(({ path, description }) => row(path, '', '', description)), fieldRow(field)];
  });
  return ['| value | type | default | description |', '|---|---|---|---|', ...rows, '', types(fields)].join(
    '\n',
  );
}

function fieldRow(field: ConfigField): string {
  const { path, type, choices, within, required, description } = field;
  const missing = required ? (within === undefined ? '**required**' : `required in \`${within}\``) : '';
  return row(
    path,
    choices?.map(code).join(', ') ?? type.replace(/^\[\.\.\.(\w+)\]$/, 'list of $1'),
    field.default === undefined ? missing : code(JSON.stringify(field.default)),
    description,
  );
}

function row(path: string, ...cells: readonly string[]): string {
  return `| ${[code(path), ...cells.map((cell) => cell.replaceAll('|', '\\|'))].join(' | ')} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** What the names of types mean. */
function types(fields: readonly ConfigField[]): string {
  const described = fields.flatMap(({ typeDescription }) => typeDescription ?? []);
  const lines = [...new Set(described)].toSorted().map((text) => `- ${text.replace(/^(\w+)/, '`$1`')}`);
  return ['What the types are:', '', ...lines].join('\n');
}
