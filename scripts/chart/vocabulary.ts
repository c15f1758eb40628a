import type { ConfigField } from '../module/config-fields.ts';
import type { Instance } from '../module/render.ts';
import { secondsExpression, secondsOf } from './duration.ts';
import { isList, isObject, type Json, type JsonObject, valueAt } from './json.ts';

/** What a template can say of a value, and when: as Helm writes it, and as it is in one sample. */
export interface Term {
  /** For Helm, with `$` as the root, so that it means the same everywhere. */
  readonly expression: string;
  readonly value: (values: JsonObject, instance: Instance) => Json | undefined;
  /** Whether it is a text that needs no quotes in YAML, and has none in it. */
  readonly plain: boolean;
  /** The path of the value, where it may be left out and nothing holds then. */
  readonly optional?: string;
  /** Whether it can stand for itself where objects have a map or a list. */
  readonly whole: boolean;
  /** How its value is known again in the objects; a switch's by when it changes, and by no text. */
  readonly found: 'as a text' | 'by its elements' | 'by changing';
}

/** What a condition of a template can ask. */
export interface Question {
  readonly expression: string;
  readonly answer: (values: JsonObject) => boolean;
  /** The paths that are there where the answer is yes. */
  readonly shows: readonly string[];
}

export interface Vocabulary {
  readonly terms: readonly Term[];
  readonly questions: readonly Question[];
}

/** What the module computes of values, and no comparison of texts could see. */
function computed(expressions: Expressions): readonly Term[] {
  const renewBefore = 'certificates.renewBefore';
  return [
    term('($.Chart.AppVersion | replace "+" "_")', (_, { moduleVersion }) =>
      moduleVersion?.replaceAll('+', '_'),
    ),
    // the dashboard's uid
    term(
      '(printf "gke-metadata-server %s/%s" $.Release.Namespace $.Release.Name | sha256sum | trunc 16)',
      (_, { name, namespace }) =>
        new Bun.CryptoHasher('sha256')
          .update(`gke-metadata-server ${namespace}/${name}`)
          .digest('hex')
          .slice(0, 16),
    ),
    // the patience of the alert on a certificate that is not renewed
    term(`(div ${secondsExpression(expressions.of(renewBefore))} 2)`, (values) => {
      const value = valueAt(values, renewBefore);
      return typeof value === 'string' ? Math.floor(secondsOf(value) / 2) : undefined;
    }),
  ];
}

/** Of the release: Timoni's instance is Helm's release, and the module's version that of the application. */
const release: readonly Term[] = [
  term('$.Release.Name', (_, { name }) => name),
  term('$.Release.Namespace', (_, { namespace }) => namespace),
  term('$.Chart.AppVersion', (_, { moduleVersion }) => moduleVersion),
];

function term(expression: string, value: Term['value']): Term {
  return { expression, value, plain: true, whole: true, found: 'as a text' };
}

/** How Helm has a field's value: with its default, where values.yaml cannot have it. */
export class Expressions {
  constructor(
    private readonly fields: readonly ConfigField[],
    /** Of fields whose default is another where a switch is the other way. */
    private readonly changedBy: ReadonlyMap<string, { readonly switch: string; readonly then: Json }>,
  ) {}

  of(path: string): string {
    const field = this.fields.find((one) => one.path === path);
    const own = this.raw(path);
    if (field?.default === undefined) return own;
    const change = this.changedBy.get(path);
    if (change !== undefined) {
      const [yes, no] = [field.default, change.then].map(literal);
      const flipped = this.fields.find((one) => one.path === change.switch)?.default === true;
      const [first, second] = flipped ? [yes, no] : [no, yes];
      return `(default (ternary ${first} ${second} $.Values.${change.switch}) ${own})`;
    }
    if (field.within !== undefined) return `(default ${literal(field.default)} ${own})`;
    // to cue an empty map of a user's is the default too
    return this.isInValues(field) ? own : `(default ${literal(field.default)} ${own})`;
  }

  /** Whether values.yaml has the default: Helm merges maps, which the module replaces. */
  isInValues({ path, default: value, within }: ConfigField): boolean {
    return value !== undefined && within === undefined && !isFilledMap(value) && !this.changedBy.has(path);
  }

  /** The value alone; null where the struct that it is in is left out. */
  raw(path: string): string {
    const within = this.fields.find((field) => field.path === path)?.within;
    return within === undefined
      ? `$.Values.${path}`
      : `($.Values.${within}).${path.slice(within.length + 1)}`;
  }
}

/** Of a default: a map with something in it. */
export function isFilledMap(value: unknown): boolean {
  // what cue wrote as JSON
  return isObject(value as Json) && Object.keys(value as JsonObject).length > 0;
}

/** Go's templates write texts as JSON does. */
export function literal(value: unknown): string {
  const json = value as Json;
  if (isList(json)) return `(list${json.map((one) => ` ${literal(one)}`).join('')})`;
  if (isObject(json)) {
    return `(dict${Object.entries(json)
      .map(([key, one]) => ` ${literal(key)} ${literal(one)}`)
      .join('')})`;
  }
  return JSON.stringify(json);
}

/** All that the templates can be made of. */
export function vocabularyOf(fields: readonly ConfigField[], expressions: Expressions): Vocabulary {
  const structs = [...new Set(fields.flatMap(({ path }) => parentsOf(path)))];
  return {
    terms: [
      ...release,
      ...computed(expressions),
      ...fields.map((field): Term => {
        const { path, within, required, default: value } = field;
        const isOptional = !required && value === undefined;
        return {
          expression: expressions.of(path),
          value: (values) => valueAt(values, path),
          plain: false,
          whole: true,
          found: foundBy(field),
          ...(isOptional && { optional: within ?? path }),
        };
      }),
      ...structs.map((path): Term => {
        const inside = fields.filter((field) => field.path.startsWith(`${path}.`));
        const missing = inside.some((field) => field.default !== undefined && !expressions.isInValues(field));
        return {
          expression: expressions.raw(path),
          value: (values) => valueAt(values, path),
          plain: false,
          // it would lack those of its defaults that values.yaml has not
          whole: !missing,
          found: 'by changing',
        };
      }),
    ],
    // where several tell the same apart, the first is taken: what is there at all before what it is
    questions: [
      ...[...new Set(fields.flatMap(({ within }) => within ?? []))].map(
        (path): Question => ({
          expression: `(kindIs "map" $.Values.${path})`,
          answer: (values) => valueAt(values, path) !== undefined,
          shows: [path],
        }),
      ),
      ...fields.flatMap((field) => questionsOf(field, expressions)),
      ...fields.flatMap((field) => choicesOf(field, expressions)),
    ],
  };
}

function foundBy({ type, choices }: ConfigField): Term['found'] {
  if (choices !== undefined || type === 'boolean' || type === 'Affinity') return 'by changing';
  return type.startsWith('[') || type === 'Labels' || type === 'Annotations'
    ? 'by its elements'
    : 'as a text';
}

function questionsOf(field: ConfigField, expressions: Expressions): readonly Question[] {
  const { path, choices, type, schema } = field;
  const expression = expressions.of(path);
  const ask = (text: string, isYes: (value: Json) => boolean, shows: readonly string[] = []): Question => ({
    expression: text,
    answer: (values) => {
      const value = valueAt(values, path);
      return value !== undefined && isYes(value);
    },
    shows,
  });
  if (type === 'boolean') return [ask(expression, (value) => value === true)];
  if (choices !== undefined) return [];
  const questions: Question[] = [];
  if (field.default === undefined && !field.required) {
    const isThere = schema.type === 'object' ? `(kindIs "map" ${expression})` : expression;
    questions.push(ask(isThere, () => true, [path]));
  }
  if (isList(field.default as Json) || isObject(field.default as Json) || mayBeEmpty(field)) {
    questions.push(ask(expression, (value) => Object.keys(Object(value)).length > 0));
  }
  return questions;
}

function choicesOf({ path, choices = [] }: ConfigField, expressions: Expressions): readonly Question[] {
  return choices.map((choice) => ({
    expression: `(eq ${expressions.of(path)} ${literal(choice)})`,
    answer: (values) => valueAt(values, path) === choice,
    shows: [],
  }));
}

/** Whether it is a text of which nothing at all is one of the values. */
export function mayBeEmpty({ schema }: ConfigField): boolean {
  return schema.anyOf?.some((one) => one.const === '') ?? false;
}

function parentsOf(path: string): readonly string[] {
  const names = path.split('.');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('.'));
}
