import { isList, isObject, type Json } from './json.ts';
import type { Sample } from './samples.ts';
import type { Join, TextPart } from './template.ts';
import type { Term } from './vocabulary.ts';

/** A part of the objects of one sample. */
export interface Case {
  readonly sample: Sample;
  readonly node: Json;
  /** The element of a list, or entry of a map, that this part is for. */
  readonly current?: { readonly term: Term; readonly index: number };
}

/** One element of a list, or the key or value of one entry, in a text of a sample. */
interface Element {
  readonly of: Term;
  readonly index: number;
  readonly part: 'key' | 'value';
}

type RawPart = string | Term | Element;

/** A text of a sample with what of it comes from the values. */
export function partsOf(one: Case, text: string): readonly TextPart[] {
  const raw = rawPartsOf(one, text).map((part): RawPart | TextPart =>
    isElement(part) && one.current?.term === part.of && one.current.index === part.index
      ? { current: part.part }
      : part,
  );
  return joined(raw);
}

/** The lists and maps of the values of which a part has elements other than the current one, and which of them. */
export function elementsIn(one: Case): ReadonlyMap<Term, ReadonlySet<number>> {
  const found = new Map<Term, Set<number>>();
  for (const text of textsIn(one.node)) {
    for (const part of rawPartsOf(one, text)) {
      if (!isElement(part) || one.current?.term === part.of) continue;
      found.set(part.of, (found.get(part.of) ?? new Set()).add(part.index));
    }
  }
  return found;
}

/** The same for two parts where only values of theirs differ. */
export function shapeOf(one: Case): string {
  return JSON.stringify(shape(one));
}

function shape(one: Case): unknown {
  const { node } = one;
  if (isList(node)) return node.map((inner) => shape({ ...one, node: inner }));
  if (isObject(node)) {
    return Object.entries(node).map(([key, inner]) => [
      shape({ ...one, node: key }),
      shape({ ...one, node: inner }),
    ]);
  }
  if (typeof node === 'string') return partsOf(one, node).map(shapeOfPart);
  return node;
}

/** Joins by what they join: one of a single element knows no separator. */
export function shapeOfPart(part: TextPart): unknown {
  if (typeof part === 'string' || 'current' in part) return part;
  return 'join' in part ? { join: part.join.expression, element: part.element } : { term: part.expression };
}

/** From left to right, the longest first. */
function rawPartsOf({ sample }: Case, text: string): readonly RawPart[] {
  const parts: RawPart[] = [];
  let literal = '';
  for (let at = 0; at < text.length; ) {
    const token = sample.tokens.find((one) => text.startsWith(one.text, at));
    if (token === undefined) {
      literal += text[at];
      at += 1;
      continue;
    }
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(
      token.index === undefined ? token.term : { of: token.term, index: token.index, part: token.part },
    );
    at += token.text.length;
  }
  if (literal !== '') parts.push(literal);
  return parts;
}

/** With elements that follow each other as one. */
function joined(parts: readonly (RawPart | TextPart)[]): readonly TextPart[] {
  const first = parts.findIndex(isElement);
  const start = parts[first];
  if (!isElement(start)) return parts.filter((part): part is TextPart => !isElement(part));
  const { of } = start;
  const isOf = (part: RawPart | TextPart | undefined, index?: number): part is Element =>
    isElement(part) && part.of === of && (index === undefined || part.index === index);
  const last = parts.findLastIndex((part) => isOf(part));
  const end = parts.findLastIndex((part) => isOf(part, 0));
  const second = parts.findIndex((part) => isOf(part, 1));
  const element = parts
    .slice(first, end + 1)
    .map((part) => (isElement(part) ? { current: part.part } : typeof part === 'string' ? part : ''));
  const between = parts.slice(end + 1, Math.max(second, end + 1));
  const separator =
    second < 0 ? undefined : between.map((part) => (typeof part === 'string' ? part : '')).join('');
  const join: Join = { join: of, element, ...(separator !== undefined && { separator }) };
  return [...joined(parts.slice(0, first)), join, ...joined(parts.slice(last + 1))];
}

function isElement(part: RawPart | TextPart | undefined): part is Element {
  return typeof part === 'object' && 'of' in part;
}

function* textsIn(node: Json): Generator<string> {
  if (typeof node === 'string') yield node;
  else if (isList(node)) for (const inner of node) yield* textsIn(inner);
  else if (isObject(node)) {
    for (const [key, inner] of Object.entries(node)) {
      yield key;
      yield* textsIn(inner);
    }
  }
}
