import type { KubernetesObject } from './objects.ts';
import { Refusal, status } from './status.ts';

export type Matches = (object: KubernetesObject) => boolean;

// of the labels the API server knows, those that a Node's server has reason to use
const FIELDS = new Map<string, (object: KubernetesObject) => string>([
  ['metadata.name', (object) => object.metadata.name],
  ['metadata.namespace', (object) => object.metadata.namespace ?? ''],
  ['spec.nodeName', (object) => (object.kind === 'Pod' ? (object.spec.nodeName ?? '') : '')],
  ['status.phase', (object) => (object.kind === 'Pod' ? object.status.phase : '')],
]);
const POD_FIELDS = new Set(['spec.nodeName', 'status.phase']);

/**
 * `a=b,c!=d` as a predicate. Throws the API server's 400 for a field it cannot select by:
 * better refused than taken to match everything.
 */
export function parseFieldSelector(kind: string, selector: string | null): Matches {
  if (selector === null || selector === '') return () => true;
  const terms = selector.split(',').map((term) => parseTerm(kind, term));
  return (object) => terms.every((matches) => matches(object));
}

function parseTerm(kind: string, term: string): Matches {
  const parsed = /^(?<field>[^=!]+)(?<operator>!=|==?)(?<value>.*)$/.exec(term)?.groups;
  if (parsed === undefined) {
    throw new Refusal(status(400, `invalid selector: '${term}'; can't understand '${term}'`));
  }
  const { field = '', operator, value } = parsed;
  const read = FIELDS.get(field);
  if (read === undefined || (POD_FIELDS.has(field) && kind !== 'Pod')) {
    throw new Refusal(status(400, `field label not supported: ${field}`));
  }
  return operator === '!=' ? (object) => read(object) !== value : (object) => read(object) === value;
}
