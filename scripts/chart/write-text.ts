import { literalBlock, yamlScalar } from '../module/yaml.ts';
import { isList, isObject, type Json } from './json.ts';
import type { Join, Template, TextPart } from './template.ts';
import { literal, type Term } from './vocabulary.ts';

/** A term's expression; where it may be missing and nothing has asked, Helm says what is. */
export function expressionOf(term: Term, known: ReadonlySet<string>): string {
  const { optional, expression } = term;
  if (optional === undefined || known.has(optional)) return expression;
  return `(required ${literal(`${optional} is required`)} ${expression})`;
}

/** A text of several lines as YAML's literal block; undefined where it cannot be one. */
export function textBlock(front: string, template: Template, indent: string): readonly string[] | undefined {
  const parts =
    template.kind === 'text' ? template.parts : template.kind === 'constant' ? [template.value] : [];
  const lines = parts.map((part) => {
    if (typeof part === 'string') return escaped(part);
    return isTerm(part) && part.plain ? `{{ ${part.expression} }}` : undefined;
  });
  if (lines.includes(undefined)) return undefined;
  const block = literalBlock(lines.join(''));
  return (
    block && [
      `${front} ${block.header}`,
      ...block.lines.map((line) => (line === '' ? '' : `${indent}${line}`)),
    ]
  );
}

/** A text on one line: what is put into it is in quotes. */
export function lineOfText(parts: readonly TextPart[], known: ReadonlySet<string>): string {
  const before = parts
    .flatMap((part) => (isJoin(part) && isOfMore(part) ? [gather(part, known)] : []))
    .join('');
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && typeof only !== 'string') {
    return `${before}{{ ${argument(only, known)} | quote }}`;
  }
  const isPlain = parts.every((part) =>
    typeof part === 'string' ? /^[ !#-[\]-~]*$/.test(part) : isTerm(part) && part.plain,
  );
  if (isPlain) {
    const inside = parts.map((part) =>
      typeof part === 'string' ? escaped(part) : `{{ ${argument(part, known)} }}`,
    );
    return `"${inside.join('')}"`;
  }
  const format = parts.map((part) => (typeof part === 'string' ? part.replaceAll('%', '%%') : '%v')).join('');
  const values = parts.flatMap((part) => (typeof part === 'string' ? [] : [argument(part, known)]));
  return `${before}{{ printf ${literal(format)} ${values.join(' ')} | quote }}`;
}

function argument(part: Exclude<TextPart, string>, known: ReadonlySet<string>): string {
  if ('current' in part) return `$${part.current}`;
  if (isTerm(part)) return expressionOf(part, known);
  if (isOfMore(part)) return `(join ${literal(part.separator ?? ',')} $gathered)`;
  return `(join ${literal(part.separator ?? ',')} ${expressionOf(part.join, known)})`;
}

/** Whether it joins more than the elements themselves, which have to be made first. */
function isOfMore({ element }: Join): boolean {
  const [only] = element;
  return element.length > 1 || typeof only !== 'object' || only.current !== 'value';
}

function isJoin(part: TextPart): part is Join {
  return typeof part === 'object' && 'join' in part;
}

function gather({ join, element }: Join, known: ReadonlySet<string>): string {
  const format = element
    .map((part) => (typeof part === 'string' ? part.replaceAll('%', '%%') : '%v'))
    .join('');
  const values = element.flatMap((part) => (typeof part === 'string' ? [] : [`$${part.current}`]));
  const each = `{{ $gathered = append $gathered (printf ${literal(format)} ${values.join(' ')}) }}`;
  return `{{ $gathered := list }}{{ range $key, $value := ${expressionOf(join, known)} }}${each}{{ end }}`;
}

function isTerm(part: unknown): part is Term {
  return typeof part === 'object' && part !== null && 'expression' in part;
}

export function constant(value: Json): string {
  if (typeof value === 'string') return escaped(yamlScalar(value));
  return isList(value) || isObject(value) ? escaped(JSON.stringify(value)) : String(value);
}

/** What is no template, though it looks like one: Prometheus and Grafana have theirs in the objects. */
export function escaped(value: string): string {
  return value.replaceAll('{{', '{{ "{{" }}');
}
