import { expect, test } from 'bun:test';
import type { ConfigField } from '../module/config-fields.ts';
import { inferList, NotExplained } from './infer.ts';
import type { Json, JsonObject } from './json.ts';
import { sampleOf, sampleValues } from './samples.ts';
import { Expressions, vocabularyOf } from './vocabulary.ts';
import { TemplateWriter } from './write-template.ts';

const field = (path: string, type: string, value?: unknown): ConfigField => ({
  path,
  type,
  ...(value !== undefined && { default: value }),
  required: false,
  description: '',
  schema: {},
  structs: [],
});

const fields = [
  field('port', 'Port', 1),
  field('on', 'boolean', true),
  field('name', 'ObjectName'),
  field('labels', 'Labels', {}),
  field('names', '[...ObjectName]', []),
  field('certificates.renewBefore', 'Duration', '1h'),
];

/** The template of a module whose objects are what a function makes of its values. */
function templateOf(objects: (values: JsonObject) => readonly Json[]): string {
  const vocabulary = vocabularyOf(fields, new Expressions(fields, new Map()));
  const cases = Array.from({ length: 60 }, (_, index) => {
    const { values, instance } = sampleValues(fields, index + 1);
    return {
      sample: sampleOf(values, instance, { set: objects(values) }, vocabulary),
      node: objects(values),
    };
  });
  return new TemplateWriter(vocabulary.questions).documents(inferList(cases, vocabulary.terms, 'set').items);
}

const list = (value: Json | undefined) => value as readonly string[]; // as the sample values of the field are

test('a value in its place, in a text and as a text', () => {
  expect(templateOf(({ port = 0 }) => [{ port, text: `at ${port}`, quoted: `${port}` }])).toBe(
    [
      '---',
      'port: {{ $.Values.port }}',
      'text: {{ printf "at %v" $.Values.port | quote }}',
      'quoted: {{ $.Values.port | quote }}',
      '',
    ].join('\n'),
  );
});

test('what depends on a switch, and what on a value that may be missing', () => {
  const objects = ({ on, name }: JsonObject) =>
    on ? [{ kind: 'A', metadata: {}, ...(name && { name }) }] : [];
  expect(templateOf(objects)).toBe(
    ['{{- if $.Values.on }}', '---', 'kind: A', 'metadata: {}', '{{- if $.Values.name }}']
      .concat(['name: {{ $.Values.name | quote }}'])
      .concat(['{{- end }}', '{{- end }}', ''])
      .join('\n'),
  );
});

test('an element for each of a list, and all of them in a text', () => {
  const template = templateOf(({ names }) => [
    {
      first: ['x', ...list(names)],
      of: [{ name: 'y' }, ...list(names).map((name) => ({ z: name }))],
      all: list(names).join(' '),
    },
  ]);
  expect(template).toContain(
    '  - x\n  {{- range $key, $value := $.Values.names }}\n  - {{ $value | quote }}\n  {{- end }}',
  );
  expect(template).toContain('  - z: {{ $value | quote }}');
  expect(template).toContain('all: {{ (join " " $.Values.names) | quote }}');
});

test("a user's map beside the objects' own entries", () => {
  expect(templateOf(({ labels }) => [{ labels: { own: 'a', ...Object(labels) } }])).toBe(
    [
      '---',
      'labels:',
      '  own: a',
      '  {{- with omit (default (dict) $.Values.labels) "own" }}',
      '  {{- toYaml . | nindent 2 }}',
      '  {{- end }}',
      '',
    ].join('\n'),
  );
});

test("templates of others in the objects are not Helm's", () => {
  expect(templateOf(() => [{ a: '{{ $x }}' }])).toContain('a: "{{ "{{" }} $x }}"');
});

test('what nothing explains is said, with where it is', () => {
  let count = 0;
  expect(() => templateOf(() => [{ a: { b: `${'xyz'[count++ % 3]}` } }])).toThrow(NotExplained);
  expect(() => templateOf(() => [{ a: { b: `${'xyz'[count++ % 3]}` } }])).toThrow(/set\[.*\]\.a\.b: /);
});

test('a field of a type without sample values says which', () => {
  expect(() => sampleValues([field('a.b', 'Colour')], 1)).toThrow(
    'no sample values of a.b, whose type is Colour',
  );
});
