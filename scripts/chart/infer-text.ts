import { type Case, partsOf, shapeOfPart } from './case.ts';
import type { Template, TextPart } from './template.ts';
import type { Term } from './vocabulary.ts';

/** What texts that differ are made of: one template, or groups of them that have to be told apart first. */
export function inferText(
  cases: readonly Case[],
  terms: readonly Term[],
): Template | ReadonlyMap<string, readonly Case[]> {
  const texts = cases.map((one) => ({ one, parts: partsOf(one, String(one.node)) }));
  const groups = (shape: (part: TextPart) => unknown) =>
    Map.groupBy(texts, ({ parts }) => JSON.stringify(parts.map(shape)));
  const casesOf = (shapes: ReadonlyMap<string, typeof texts>) =>
    new Map([...shapes].map(([shape, members]) => [shape, members.map(({ one }) => one)]));
  const similar = groups((part) =>
    typeof part === 'string' ? part.replace(/[0-9]+/g, '0') : shapeOfPart(part),
  );
  if (similar.size > 1) return casesOf(similar);
  const same = groups(shapeOfPart);
  const parts = same.size === 1 ? textOf(texts) : withNumbers(texts, terms);
  if (parts === undefined) return casesOf(same);
  if (parts.every((part) => typeof part === 'string')) return { kind: 'constant', value: parts.join('') };
  return { kind: 'text', parts };
}

interface CaseText {
  readonly one: Case;
  readonly parts: readonly TextPart[];
}

/** Of one shape: the separators of joins are of those that have seen one. */
function textOf(texts: readonly CaseText[]): readonly TextPart[] {
  const [first] = texts;
  return (first?.parts ?? []).map((part, index): TextPart => {
    if (typeof part === 'string' || !('join' in part)) return part;
    const seen = texts
      .map(({ parts }) => parts[index])
      .find((one) => typeof one === 'object' && 'separator' in one);
    return seen ?? part;
  });
}

/** With the term that each number is that differs: those too short to be known by themselves. */
function withNumbers(texts: readonly CaseText[], terms: readonly Term[]): readonly TextPart[] | undefined {
  const numbers = /([0-9]+)/;
  const parts = textOf(texts).map((part, index): readonly TextPart[] | undefined => {
    if (typeof part !== 'string') return [part];
    const pieces = texts.map(({ parts }) => String(parts[index]).split(numbers));
    const solved = part.split(numbers).map((piece, position): TextPart | undefined => {
      if (pieces.every((others) => others[position] === piece)) return piece;
      return terms.find((term) =>
        texts.every(({ one: { sample } }, which) => {
          const value = term.value(sample.values, sample.instance);
          return typeof value === 'number' && String(value) === pieces[which]?.[position];
        }),
      );
    });
    return solved.every((piece) => piece !== undefined) ? solved : undefined;
  });
  return parts.every((part) => part !== undefined) ? parts.flat().filter((part) => part !== '') : undefined;
}
