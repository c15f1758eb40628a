import type { ConfigField } from '../module/config-fields.ts';
import { secondsExpression } from './duration.ts';
import type { GuardExpression } from './guard-expression.ts';
import type { Guard } from './guards.ts';
import { type Expressions, literal } from './vocabulary.ts';

/** What cue's functions and operators are in Helm. */
const functions: Readonly<Record<string, string>> = {
  '||': 'or',
  '&&': 'and',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '!': 'not',
  len: 'len',
};

/** What the release has, and no value. */
const release: Readonly<Record<string, string>> = {
  'metadata.name': '$.Release.Name',
  'metadata.namespace': '$.Release.Namespace',
};

/** A guard as Helm's template, which fails in its words. Throws on what Helm cannot ask. */
export function writeGuard(
  { when, message, names }: Guard,
  within: string,
  fields: readonly ConfigField[],
  expressions: Expressions,
): string {
  const write = (expression: GuardExpression): string => {
    if (expression.kind === 'literal') return literal(expression.value);
    if (expression.kind === 'bottom')
      throw new Error('a guard may ask no more of _|_ than whether a field is there');
    if (expression.kind === 'text') {
      const parts = expression.parts.map((part) =>
        typeof part === 'string' ? part.replaceAll('%', '%%') : '%v',
      );
      const values = expression.parts.filter((part) => typeof part !== 'string').map(write);
      return `(printf ${literal(parts.join(''))} ${values.join(' ')})`;
    }
    if (expression.kind === 'field') return field(expression.path);
    const { name, of } = expression;
    const [first, second] = of;
    if (first !== undefined && second?.kind === 'bottom') {
      if (first.kind !== 'field' || name !== '!=') throw new Error(`a guard asks ${name} _|_`);
      return `(not (kindIs "invalid" ${expressions.raw(first.path)}))`;
    }
    if (name === 'time.ParseDuration' && first !== undefined) return secondsExpression(write(first));
    // the module's way to say a field's value and not its type
    if (name === '+' && first !== undefined && second?.kind === 'literal' && !second.value)
      return write(first);
    const helm = functions[name];
    if (helm === undefined) throw new Error(`a guard calls ${name}, which Helm has no function for`);
    return `(${helm} ${of.map(write).join(' ')})`;
  };
  const field = (name: string): string => {
    const named = names.get(name);
    if (named !== undefined) return write(named);
    const [, released] = /^_released\.(.*)$/.exec(name) ?? [];
    const path = [within, released ?? name].filter((part) => part !== '').join('.');
    const known = fields.find((one) => one.path === path);
    if (release[path] !== undefined) return release[path];
    if (known === undefined) throw new Error(`a guard asks for ${path}, which is no field`);
    return released === undefined ? numeric(known, expressions.of(path)) : literal(known.default);
  };
  const condition = when.length === 1 ? when.map(write).join('') : `and ${when.map(write).join(' ')}`;
  return `{{- if ${condition} }}\n{{- fail ${write(message)} }}\n{{- end }}`;
}

/** Helm's numbers are of more than one type, which Go compares with none but their own. */
function numeric({ default: value }: ConfigField, expression: string): string {
  return typeof value === 'number' ? `(int64 ${expression})` : expression;
}
