import { isDeepStrictEqual } from 'node:util';
import { yamlScalar } from '../module/yaml.ts';
import type { Condition } from './condition.ts';
import type { Entry, Item, Template, TextPart } from './template.ts';
import type { Question, Term } from './vocabulary.ts';
import { literal } from './vocabulary.ts';
import { constant, escaped, expressionOf, lineOfText, textBlock } from './write-text.ts';

/** Writes what was found out of the objects as a template of Helm. */
export class TemplateWriter {
  constructor(private readonly questions: readonly Question[]) {}

  /** The objects of a set, each a document that is there or not. */
  documents(items: readonly Item[]): string {
    return this.runs(items, '', new Set(), ({ value }, known) => ['---', ...this.block(value, '', known)])
      .map((line) => `${line}\n`)
      .join('');
  }

  /** Lines that are there under a condition; within them what it asks for is known to be there. */
  private when(
    condition: Condition,
    indent: string,
    known: ReadonlySet<string>,
    lines: (known: ReadonlySet<string>) => readonly string[],
  ): readonly string[] {
    if (condition.kind === 'always') return lines(known);
    const inside = new Set([...known, ...this.shown(condition)]);
    return [`${indent}{{- if ${this.condition(condition)} }}`, ...lines(inside), `${indent}{{- end }}`];
  }

  /** Each in turn, and those that follow each other under one condition within it. */
  private runs<Part extends { readonly when: Condition }>(
    parts: readonly Part[],
    indent: string,
    known: ReadonlySet<string>,
    lines: (part: Part, known: ReadonlySet<string>) => readonly string[],
  ): readonly string[] {
    const [first] = parts;
    if (first === undefined) return [];
    const end = parts.findIndex(({ when }) => !isDeepStrictEqual(when, first.when));
    const run = end < 0 ? parts : parts.slice(0, end);
    return [
      ...this.when(first.when, indent, known, (inside) => run.flatMap((part) => lines(part, inside))),
      ...this.runs(parts.slice(run.length), indent, known, lines),
    ];
  }

  private condition(condition: Condition): string {
    if (condition.kind === 'always') return 'true';
    if (condition.kind === 'question') {
      const { expression } = this.question(condition.question);
      return condition.is ? expression : `not ${expression}`;
    }
    const operands = condition.of.map((one) => {
      const text = this.condition(one);
      return text.includes(' ') && !text.startsWith('(') ? `(${text})` : text;
    });
    return `${condition.kind === 'all' ? 'and' : 'or'} ${operands.join(' ')}`;
  }

  private shown(condition: Condition): readonly string[] {
    if (condition.kind === 'question') return condition.is ? this.question(condition.question).shows : [];
    return condition.kind === 'all' ? condition.of.flatMap((one) => this.shown(one)) : [];
  }

  private question(index: number): Question {
    const question = this.questions[index];
    if (question === undefined) throw new Error(`no question ${index}`);
    return question;
  }

  /** A template as lines of its own. */
  private block(template: Template, indent: string, known: ReadonlySet<string>): readonly string[] {
    if (template.kind === 'choice') {
      return this.choice(template, indent, known, (one, inside) => this.block(one, indent, inside));
    }
    if (template.kind === 'map') {
      return [
        ...this.runs(template.entries, indent, known, (entry, inside) => this.entry(entry, indent, inside)),
        ...spread(template.spreads, template.entries, indent),
      ];
    }
    if (template.kind === 'list') {
      return this.runs(template.items, indent, known, (item, inside) => this.item(item, indent, inside));
    }
    return [`${indent}${this.inline(template, known)}`];
  }

  private choice(
    { when, yes, no }: Extract<Template, { kind: 'choice' }>,
    indent: string,
    known: ReadonlySet<string>,
    lines: (template: Template, known: ReadonlySet<string>) => readonly string[],
  ): readonly string[] {
    const rest = lines(no, known);
    const [first = '', ...others] = rest;
    const isChoice = no.kind === 'choice';
    return [
      `${indent}{{- if ${this.condition(when)} }}`,
      ...lines(yes, new Set([...known, ...this.shown(when)])),
      ...(isChoice
        ? [first.replace('{{- if ', '{{- else if '), ...others]
        : [`${indent}{{- else }}`, ...rest, `${indent}{{- end }}`]),
    ];
  }

  private entry({ key, value }: Entry, indent: string, known: ReadonlySet<string>): readonly string[] {
    return this.after(`${indent}${this.key(key)}:`, value, indent, known);
  }

  /** A template behind what is in front of it, or below. */
  private after(
    front: string,
    template: Template,
    indent: string,
    known: ReadonlySet<string>,
  ): readonly string[] {
    if (template.kind === 'choice') {
      return this.choice(template, indent, known, (one, inside) => this.after(front, one, indent, inside));
    }
    const inner = `${indent}  `;
    if (template.kind === 'map' || template.kind === 'list')
      return [front, ...this.block(template, inner, known)];
    if (template.kind === 'value' && template.type === 'any' && template.term.whole) {
      const expression = expressionOf(template.term, known);
      return [front, `${inner}{{- toYaml ${expression} | nindent ${inner.length} }}`];
    }
    if (template.kind === 'constant' && typeof template.value === 'object') {
      const isEmpty = Object.keys(Object(template.value)).length === 0;
      return isEmpty
        ? [`${front} ${JSON.stringify(template.value)}`]
        : [front, ...this.block(template, inner, known)];
    }
    return textBlock(front, template, inner) ?? [`${front} ${this.inline(template, known)}`];
  }

  private item({ each, value }: Item, indent: string, known: ReadonlySet<string>): readonly string[] {
    const lines = this.element(value, indent, known);
    if (each === undefined) return lines;
    return [
      `${indent}{{- range $key, $value := ${expressionOf(each, known)} }}`,
      ...lines,
      `${indent}{{- end }}`,
    ];
  }

  private element(value: Template, indent: string, known: ReadonlySet<string>): readonly string[] {
    if (value.kind === 'choice') {
      return this.choice(value, indent, known, (one, inside) => this.element(one, indent, inside));
    }
    if (value.kind !== 'map') return this.after(`${indent}-`, value, indent, known);
    const [first = '', ...rest] = this.block(value, `${indent}  `, known);
    // what is there or not cannot stand behind the dash
    return first.trimStart().startsWith('{{-')
      ? [`${indent}-`, first, ...rest]
      : [`${indent}- ${first.trimStart()}`, ...rest];
  }

  private key(parts: readonly TextPart[]): string {
    const text = parts.map((part) => (typeof part === 'string' ? part : '')).join('');
    if (parts.every((part) => typeof part === 'string')) return escaped(yamlScalar(text));
    return this.inline({ kind: 'text', parts }, new Set());
  }

  /** On one line. */
  private inline(template: Template, known: ReadonlySet<string>): string {
    if (template.kind === 'constant') return constant(template.value);
    if (template.kind === 'value') {
      const { term, asText, type } = template;
      const expression = expressionOf(term, known);
      if (type === 'number') return `{{ ${expression} }}`;
      return `{{ ${expression} | ${asText || type === 'text' ? 'quote' : 'toJson'} }}`;
    }
    if (template.kind !== 'text') throw new Error(`${template.kind} on one line`);
    return lineOfText(template.parts, known);
  }
}

/** The user's entries, but for those that the objects have anyway. */
function spread(terms: readonly Term[], entries: readonly Entry[], indent: string): readonly string[] {
  const [only] = terms;
  if (only === undefined) return [];
  if (entries.some(({ when }) => when.kind !== 'always')) {
    throw new Error(
      `an entry that is there or not stands beside those of ${only.expression}: which of them counts?`,
    );
  }
  const keys = entries.map(({ key }) => key.map((part) => (typeof part === 'string' ? part : '')).join(''));
  const all = terms.map(({ expression }) => `(default (dict) ${expression})`).join(' ');
  return [
    `${indent}{{- with omit (${terms.length === 1 ? 'default' : 'merge'} (dict) ${terms.length === 1 ? only.expression : all}) ${keys.map(literal).join(' ')} }}`,
    `${indent}{{- toYaml . | nindent ${indent.length} }}`,
    `${indent}{{- end }}`,
  ];
}
