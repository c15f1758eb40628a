import type { ConfigField, JsonSchema } from '../module/config-fields.ts';
import type { Expressions } from './vocabulary.ts';

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

/** What a user may set, with the module's comments and defaults; what has none is there as a comment. */
export function valuesFile(fields: readonly ConfigField[], expressions: Expressions): string {
  const comments = new Map(
    fields.flatMap(({ structs }) => structs.map(({ path, description }) => [path, description] as const)),
  );
  const comment = (text: string, indent: string): readonly string[] =>
    text === '' ? [] : wrapped(text, 100 - indent.length).map((line) => `${indent}# ${line}`);
  const lines = (branch: Branch, path: string, indent: string, isComment: boolean): readonly string[] =>
    [...branch.inner].flatMap(([name, { field, inner }]): readonly string[] => {
      const own = path === '' ? name : `${path}.${name}`;
      if (field === undefined) {
        const within = [...inner.values()].every((one) => one.field?.within !== undefined);
        const inside = `${indent}${within && !isComment ? '# ' : ''}`;
        return [
          ...comment(comments.get(own) ?? '', indent),
          `${inside}${name}:`,
          ...lines({ inner }, own, `${inside}  `, within),
        ];
      }
      const isThere = expressions.isInValues(field);
      const value = field.default === undefined ? '' : ` ${JSON.stringify(field.default)}`;
      return [
        ...comment(field.description, indent),
        ...(field.required ? [`${indent}# Required.`] : []),
        `${indent}${isThere || isComment ? '' : '# '}${name}:${value}`,
      ];
    });
  const head = [
    '# Made of the configuration of the Timoni module, as the templates are: see docs/helm.md.',
    '',
  ];
  return [...head, ...lines(treeOf(fields), '', '', false), ''].join('\n');
}

function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** What cue's schema cannot say of a type, as near as a pattern can. */
const patterns: Readonly<Record<string, string>> = {
  CIDR: '^([0-9]{1,3}([.][0-9]{1,3}){3}/([12]?[0-9]|3[0-2])|[0-9a-fA-F:]*:[0-9a-fA-F:.]*/([1-9]?[0-9]|1[01][0-9]|12[0-8]))$',
};

/** The same as a JSON Schema, which Helm holds every installation to. */
export function valuesSchema(fields: readonly ConfigField[]): string {
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
  // Helm itself puts `global` into the values of a chart that is part of another
  const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root };
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
