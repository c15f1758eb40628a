import { join } from 'node:path';
import type { ConfigField } from '../module/config-fields.ts';
import { moduleFolder } from '../module/schemas.ts';
import { type GuardExpression, parseExpression } from './guard-expression.ts';
import type { Expressions } from './vocabulary.ts';
import { writeGuard } from './write-guard.ts';

/** What the module refuses although each value is good by itself. */
export interface Guard {
  /** All of them, for the message to be said. */
  readonly when: readonly GuardExpression[];
  readonly message: GuardExpression;
  /** The names that stand for expressions. */
  readonly names: ReadonlyMap<string, GuardExpression>;
}

/** The files with guards, and the struct that each one's names are fields of. */
const sources = [
  { file: 'guards.cue', within: '' },
  { file: 'image.cue', within: 'image' },
] as const;

/** A template of no object, which fails where the module's guards do, in their words. */
export async function guardsTemplate(
  fields: readonly ConfigField[],
  expressions: Expressions,
): Promise<string> {
  const lines: string[] = [];
  for (const { file, within } of sources) {
    const source = await Bun.file(join(moduleFolder, 'templates/config', file)).text();
    for (const guard of guardsIn(source, file)) lines.push(writeGuard(guard, within, fields, expressions));
  }
  return `${[nameGuard, ...lines].join('\n')}\n`;
}

/** The instance's name, which is no value of the chart's: what #InstanceMetadata says of it. */
const nameGuard = [
  '{{- if or (gt (len $.Release.Name) 50) (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $.Release.Name)) }}',
  '{{- fail (printf "the release is called %s: its name may have lower case letters, digits and -, 50 at most" $.Release.Name) }}',
  '{{- end }}',
].join('\n');

const shapes = {
  begin: /^if (.*) \{$/,
  name: /^let (\w+) = (.*)$/,
  refusal: /^\w+: error\((.*)\)$/,
  oneLine: /^if (.*) \{(.*)\},$/,
  end: /^\}$/,
} as const;

/** The guards of a file as cue formats it, a statement a line. Fails on an error that none of these lines has. */
export function guardsIn(source: string, file: string): readonly Guard[] {
  const guards: Guard[] = [];
  const conditions: { when: GuardExpression; names: Map<string, GuardExpression> }[] = [];
  const names = new Map<string, GuardExpression>();
  // of the first that holds in a list of alternatives
  let earlier: GuardExpression[] = [];
  const known = (): Map<string, GuardExpression> => conditions.at(-1)?.names ?? names;
  for (const line of source.split('\n').map((text) => text.trim())) {
    const [, condition, outcome] = shapes.oneLine.exec(line) ?? [];
    const [, name, value] = shapes.name.exec(line) ?? [];
    const [, begin] = shapes.begin.exec(line) ?? [];
    const message = shapes.refusal.exec(line)?.[1] ?? /^error\((.*)\)$/.exec(outcome ?? '')?.[1];
    const count = guards.length;
    if (condition !== undefined) {
      const when = parseExpression(condition);
      if (message !== undefined) {
        guards.push({ when: [...earlier.map(not), when], message: parseExpression(message), names });
      }
      earlier.push(when);
    } else if (name !== undefined && value !== undefined) {
      known().set(name, parseExpression(value));
    } else if (begin !== undefined) {
      conditions.push({ when: parseExpression(begin), names: new Map(known()) });
    } else if (message !== undefined) {
      guards.push({
        when: conditions.map(({ when }) => when),
        message: parseExpression(message),
        names: known(),
      });
    } else if (shapes.end.test(line)) {
      conditions.pop();
    }
    if (line.startsWith(']')) earlier = [];
    // by itself it is what a type says of what it is not, as the schema does
    if (/\S.*\berror\(/.test(line) && guards.length === count) {
      throw new Error(`${file}: no guard that Helm can have is made of ${line}`);
    }
  }
  return guards;
}

function not(of: GuardExpression): GuardExpression {
  return { kind: 'call', name: '!', of: [of] };
}
