import { isDeepStrictEqual } from 'node:util';
import { type Case, elementsIn, partsOf, shapeOf, shapeOfPart } from './case.ts';
import { always, type Condition, learnCondition } from './condition.ts';
import { inOrder } from './in-order.ts';
import { inferText } from './infer-text.ts';
import { isList, isObject, type Json, type JsonObject, valueAt } from './json.ts';
import type { Entry, Item, Template } from './template.ts';
import type { Term } from './vocabulary.ts';

/** No template that this can make explains what the module does there. */
export class NotExplained extends Error {
  override readonly name = 'NotExplained';
}

/** The template that gives, for the values of each case, what the module gave for them. */
export function infer(cases: readonly Case[], terms: readonly Term[], at: string): Template {
  const [first] = cases;
  if (first === undefined) throw new NotExplained(`${at}: no samples`);
  const types = Map.groupBy(cases, ({ node }) => typeOf(node));
  const whole = wholeValue(cases, terms);
  if (whole !== undefined) return whole;
  if (types.size > 1) return split(types, terms, at);
  if (isList(first.node)) return inferList(cases, terms, at);
  if (isObject(first.node)) return inferMap(cases, terms, at);
  if (typeof first.node === 'string') {
    const text = inferText(cases, terms);
    return 'kind' in text ? text : split(text, terms, at);
  }
  const values = Map.groupBy(cases, ({ node }) => JSON.stringify(node));
  return values.size === 1 ? { kind: 'constant', value: first.node } : split(values, terms, at);
}

function typeOf(node: Json): string {
  if (isList(node)) return node.length === 0 ? '[]' : 'list';
  if (isObject(node)) return Object.keys(node).length === 0 ? '{}' : 'map';
  return typeof node;
}

/** A term that is the same as the node in every case, and not always the same. */
function wholeValue(cases: readonly Case[], terms: readonly Term[]): Template | undefined {
  const [first] = cases;
  if (first === undefined || cases.every(({ node }) => isDeepStrictEqual(node, first.node))) return undefined;
  const isScalar = cases.every(({ node }) => typeof node !== 'object');
  const valueIn = (term: Term, { sample }: Case) => term.value(sample.values, sample.instance);
  const same = terms.find(
    (term) =>
      (isScalar || term.whole) && cases.every((one) => isDeepStrictEqual(valueIn(term, one), one.node)),
  );
  if (same !== undefined) {
    const kinds = new Set(cases.map(({ node }) => typeof node));
    const [kind] = kinds;
    const type = kinds.size > 1 ? 'any' : kind === 'string' ? 'text' : kind === 'object' ? 'any' : 'number';
    return { kind: 'value', term: same, asText: false, type };
  }
  const text = terms.find((term) =>
    cases.every((one) => {
      const value = valueIn(term, one);
      return (typeof value === 'number' || typeof value === 'boolean') && one.node === String(value);
    }),
  );
  return text && { kind: 'value', term: text, asText: true, type: 'text' };
}

/** More of them at one place are chance, and no template of anybody's. */
const MOST_BRANCHES = 6;

/** By what tells the cases of one group from all others, the largest that can be told first. */
function split(groups: ReadonlyMap<string, readonly Case[]>, terms: readonly Term[], at: string): Template {
  if (groups.size > MOST_BRANCHES) throw new NotExplained(`${at}: ${groups.size} kinds of it`);
  const bySize = [...groups.values()].sort((one, other) => other.length - one.length);
  for (const group of bySize) {
    const others = bySize.filter((one) => one !== group).flat();
    const when = conditionOf([...group, ...others], (one) => group.includes(one));
    if (when === undefined) continue;
    return { kind: 'choice', when, yes: infer(group, terms, at), no: infer(others, terms, at) };
  }
  const examples = bySize.slice(0, 3).map(([one]) => JSON.stringify(one?.node).slice(0, 300));
  throw new NotExplained(`${at}: nothing tells these apart: ${examples.join(' and ')}`);
}

function conditionOf(cases: readonly Case[], holds: (one: Case) => boolean): Condition | undefined {
  return learnCondition(cases.map((one) => ({ answers: one.sample.answers, holds: holds(one) })));
}

function inferMap(cases: readonly Case[], terms: readonly Term[], at: string): Template {
  // Every case of a map is an object: `infer` has looked.
  const nodeOf = (one: Case) => one.node as JsonObject;
  const spreads = terms.filter((term) => isSpread(term, cases));
  const own = cases.map((one) => {
    const taken = new Set(
      spreads.flatMap((term) => Object.keys(Object(term.value(one.sample.values, one.sample.instance)))),
    );
    return Object.keys(nodeOf(one))
      .filter((key) => !taken.has(key))
      .map((key) => ({ key, id: JSON.stringify(partsOf(one, key).map(shapeOfPart)) }));
  });
  if (cases.every((one) => Object.keys(nodeOf(one)).length === 0)) return { kind: 'constant', value: {} };
  const ids = new Set(own.flatMap((keys) => keys.map(({ id }) => id)));
  const entries = [...ids].map((id): Entry => {
    const having = cases.flatMap((one, index) => {
      const key = own[index]?.find((candidate) => candidate.id === id)?.key;
      const node = key === undefined ? undefined : nodeOf(one)[key];
      return key === undefined || node === undefined ? [] : [{ one, key, inner: { ...one, node } }];
    });
    const keyCases = having.map(({ one, key }) => partsOf(one, key));
    const key = keyCases[0] ?? [];
    const path = `${at}.${having[0]?.key}`;
    const holders = new Set(having.map(({ one }) => one));
    const when = conditionOf(cases, (one) => holders.has(one));
    if (when === undefined) throw new NotExplained(`${path}: nothing says when it is there`);
    return {
      when,
      key,
      value: infer(
        having.map(({ inner }) => inner),
        terms,
        path,
      ),
    };
  });
  return { kind: 'map', entries, spreads };
}

/** Whether a map of the user's is taken in whole in every case, and not always empty. */
function isSpread(term: Term, cases: readonly Case[]): boolean {
  if (term.found !== 'by its elements') return false;
  const maps = cases.map(({ sample }) => term.value(sample.values, sample.instance));
  const isIn = (map: Json | undefined, node: Json) =>
    Object.entries(isObject(map) ? map : {}).every(([key, value]) => isObject(node) && node[key] === value);
  return (
    maps.some((map) => isObject(map) && Object.keys(map).length > 0) &&
    cases.every(({ node }, index) => isIn(maps[index], node))
  );
}

interface Member {
  readonly id: string;
  readonly each?: Term;
  readonly inner: Case;
}

/** A list that may be empty, with what tells when each of its elements is there. */
export function inferList(
  cases: readonly Case[],
  terms: readonly Term[],
  at: string,
): Extract<Template, { kind: 'list' }> {
  // Every case of a list is one: `infer` has looked.
  const inner = cases.map((one) => (one.node as readonly Json[]).map((node) => ({ ...one, node })));
  const ranges = rangesOf(inner);
  const members = inner.map((list) => list.map((one) => memberOf(one, ranges)));
  const lengths = new Set(members.map(({ length }) => length));
  const sequences = members.map((list) => [...new Set(numbered(list))]);
  const alike = new Set(sequences.map((sequence) => JSON.stringify(sequence))).size === 1;
  if (!alike && lengths.size === 1 && members.flat().every(({ each }) => each === undefined)) {
    const items = Array.from({ length: members[0]?.length ?? 0 }, (_, index): Item => {
      const inner = members.flatMap((list) => list[index]?.inner ?? []);
      return { when: always, value: infer(inner, terms, `${at}[${index}]`) };
    });
    return { kind: 'list', items };
  }
  const items = inOrder(sequences).map((id): Item => {
    const path = `${at}[${id.slice(0, 60)}]`;
    const having = members.map((list, index) => {
      const ids = numbered(list);
      return { one: cases[index], found: list.filter((_, position) => ids[position] === id) };
    });
    const each = having.flatMap(({ found }) => found[0]?.each ?? [])[0];
    const isEmpty = (one: Case) =>
      each !== undefined &&
      Object.keys(Object(each.value(one.sample.values, one.sample.instance))).length === 0;
    const relevant = having.flatMap(({ one, found }) =>
      one === undefined || isEmpty(one) ? [] : [{ one, found }],
    );
    const holders = new Set(relevant.filter(({ found }) => found.length > 0).map(({ one }) => one));
    const when = conditionOf(
      relevant.map(({ one }) => one),
      (one) => holders.has(one),
    );
    if (when === undefined) throw new NotExplained(`${path}: nothing says when it is there`);
    const value = infer(
      having.flatMap(({ found }) => found.map(({ inner }) => inner)),
      terms,
      path,
    );
    return { when, value, ...(each && { each }) };
  });
  return { kind: 'list', items };
}

/** The lists and maps of the values that have an element of the list for each of theirs. */
function rangesOf(lists: readonly (readonly Case[])[]): ReadonlySet<Term> {
  const found = lists.map((list) => list.map(elementsIn));
  const terms = new Set(found.flatMap((list) => list.flatMap((elements) => [...elements.keys()])));
  return new Set(
    [...terms].filter((term) => {
      const indices = found.map((list) => list.flatMap((elements) => elements.get(term) ?? []));
      const single = indices.flat().every(({ size }) => size === 1);
      return single && indices.some((of) => of.length > 1);
    }),
  );
}

/** What makes an element of a list the same as another sample's: its name, else all that is no value. */
function memberOf(inner: Case, ranges: ReadonlySet<Term>): Member {
  for (const [term, [index]] of elementsIn(inner)) {
    if (!ranges.has(term) || index === undefined) continue;
    const current: Case = { ...inner, current: { term, index } };
    return { id: `each ${term.expression} ${shapeOf(current)}`, each: term, inner: current };
  }
  const { node } = inner;
  if (isObject(node)) {
    const { kind, metadata, name, alert } = node;
    const identity = isObject(metadata) ? [kind, valueAt(metadata, 'name') ?? ''] : (name ?? alert);
    if (identity !== undefined) return { id: shapeOf({ ...inner, node: identity as Json }), inner };
  }
  return { id: shapeOf(inner), inner };
}

/** The ids, with a number behind those that are there more than once without being of one list. */
function numbered(members: readonly Member[]): readonly string[] {
  const seen = new Map<string, number>();
  return members.map(({ id, each }) => {
    const count = (seen.get(id) ?? 0) + 1;
    seen.set(id, count);
    return each === undefined && count > 1 ? `${id} ${count}` : id;
  });
}
