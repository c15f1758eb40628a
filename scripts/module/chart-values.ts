import { stringify } from 'yaml';
import type { ConfigField, JsonSchema } from './config-fields.ts';

/** A struct of the values, or a field. */
interface Branch {
  readonly field?: ConfigField;
  readonly inner: ReadonlyMap<string, Branch>;
}

function treeOf(fields: readonly ConfigField[]): Branch {
  const root = { inner: new Map<string, Branch>() };
  for (const field of fields) {
    let at: { inner: Map<string, Branch> } = root;
    const names = field.path.split('.');
    for (const [index, name] of names.entries()) {
      const known = at.inner.get(name);
      const next = { inner: new Map(known?.inner), ...(index === names.length - 1 && { field }) };
      at.inner.set(name, next);
      at = next;
    }
  }
  return root;
}

/**
 * Whether the default is one of values.yaml's. Helm merges maps, so that a default label there could not be replaced;
 * and a default in an optional struct would make that struct set.
 */
function isInValues({ default: value, within }: ConfigField): boolean {
  const isFilledMap =
    typeof value === 'object' && !Array.isArray(value) && Object.keys(Object(value)).length > 0;
  return value !== undefined && within === undefined && !isFilledMap;
}

/** What a user may set, with the module's comments and defaults; what has no default is a comment. */
export function chartValues(fields: readonly ConfigField[]): string {
  const comments = new Map(
    fields.flatMap(({ structs }) => structs.map(({ path, description }) => [path, description] as const)),
  );
  const block = ({ inner }: Branch, path: string, indent: string): string =>
    [...inner]
      .map(([name, branch]) => entry(branch, name, path === '' ? name : `${path}.${name}`, indent))
      .join('\n');
  const entry = ({ field, inner }: Branch, name: string, path: string, indent: string): string => {
    const front = comment(field === undefined ? comments.get(path) : field.description, indent);
    if (field === undefined) {
      const text = `${indent}${name}:\n${block({ inner }, path, `${indent}  `)}`;
      const isOptional = [...inner.values()].every((one) => one.field?.within !== undefined);
      return front + (isOptional ? commentedOut(text, indent) : text);
    }
    const value = field.default === undefined ? '\n' : valueText(field.default, indent);
    const text = `${indent}${name}:${value}`;
    const required = field.required ? comment('Required.', indent) : '';
    return (
      front + required + (isInValues(field) || field.within !== undefined ? text : commentedOut(text, indent))
    );
  };
  const head = comment('Made of #Config of the Timoni module by ./scripts/generate chart.', '');
  return `${head}\n${block(treeOf(fields), '', '')}`;
}

/** What follows the colon. */
function valueText(value: unknown, indent: string): string {
  const text = stringify(value, { lineWidth: 0 });
  const isBlock = typeof value === 'object' && Object.keys(Object(value)).length > 0;
  return isBlock ? `\n${text.replace(/^(?=.)/gm, `${indent}  `)}` : ` ${text}`;
}

function commentedOut(text: string, indent: string): string {
  const lines = text.trimEnd().split('\n').filter(Boolean);
  return lines.map((line) => `${indent}# ${line.slice(indent.length)}\n`).join('');
}

function comment(text = '', indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ').filter(Boolean)) {
    const last = lines.at(-1);
    if (last === undefined || `${indent}# ${last} ${word}`.length > 100) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line) => `${indent}# ${line}\n`).join('');
}

/** What cue's schema cannot say of a type, as near as a pattern can. */
const patterns: Readonly<Record<string, string>> = {
  CIDR: '^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])([.](25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}/([12]?[0-9]|3[0-2])|[0-9a-fA-F:]*:[0-9a-fA-F:.]*/([1-9]?[0-9]|1[01][0-9]|12[0-8]))$',
};

/** The same as a JSON Schema, which Helm holds every installation to. */
export function chartValuesSchema(fields: readonly ConfigField[]): string {
  const schemaOf = ({ field, inner }: Branch): JsonSchema => {
    if (field !== undefined) return fieldSchema(field);
    const required = [...inner].filter(([, branch]) => isRequired(branch)).map(([name]) => name);
    return {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries([...inner].map(([name, branch]) => [name, schemaOf(branch)])),
      ...(required.length > 0 && { required }),
    };
  };
  const { properties, ...root } = schemaOf(treeOf(fields));
  const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root };
  // Helm itself puts `global` into the values of a chart that is part of another
  return `${JSON.stringify({ ...schema, properties: { global: { type: 'object' }, ...properties } }, null, 2)}\n`;
}

function fieldSchema({ type, schema }: ConfigField): JsonSchema {
  const pattern = patterns[/^\[\.\.\.(.*)\]$/.exec(type)?.[1] ?? ''];
  return pattern === undefined ? schema : { ...schema, items: { ...schema.items, pattern } };
}

function isRequired({ field, inner }: Branch): boolean {
  if (field !== undefined) return field.required;
  const fields = [...inner.values()];
  return fields.every((one) => one.field?.within === undefined) && fields.some(isRequired);
}
