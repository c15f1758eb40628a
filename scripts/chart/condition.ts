/** When a part of a template is there. */
export type Condition =
  | { readonly kind: 'always' }
  | { readonly kind: 'question'; readonly question: number; readonly is: boolean }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] };

/** What one case says: the answer to each question, and whether the part is there. */
export interface Example {
  readonly answers: readonly boolean[];
  readonly holds: boolean;
}

export const always: Condition = { kind: 'always' };

/** The shortest condition found that is true of exactly the examples that hold; undefined where there is none. */
export function learnCondition(examples: readonly Example[]): Condition | undefined {
  const [yes, no] = [examples.filter(({ holds }) => holds), examples.filter(({ holds }) => !holds)];
  if (no.length === 0) return always;
  const conjunction = allOf(yes, no);
  const disjunction = negated(allOf(no, yes));
  // fewer questions are likelier what was meant
  const found = [conjunction, disjunction].filter((one) => one !== undefined);
  const [best] = found.sort((one, other) => size(one) - size(other));
  return best;
}

/** More of them at once are chance, and no condition of anybody's. */
const MOST_QUESTIONS = 4;

/** Each question that all of `yes` answer alike, as few of them as tell `no` apart. */
function allOf(yes: readonly Example[], no: readonly Example[]): Condition | undefined {
  const [first] = yes;
  if (first === undefined) return undefined;
  const alike = first.answers.flatMap((is, question) =>
    yes.every(({ answers }) => answers[question] === is) ? [{ kind: 'question', question, is } as const] : [],
  );
  const chosen: Extract<Condition, { kind: 'question' }>[] = [];
  let left = no;
  while (left.length > 0) {
    const counted = alike.map((one) => left.filter(({ answers }) => answers[one.question] !== one.is).length);
    const most = Math.max(0, ...counted);
    const best = alike[counted.indexOf(most)];
    if (most === 0 || best === undefined || chosen.length === MOST_QUESTIONS) return undefined;
    chosen.push(best);
    left = left.filter(({ answers }) => answers[best.question] === best.is);
  }
  const [only] = chosen;
  return chosen.length === 1 ? only : { kind: 'all', of: chosen };
}

function negated(condition: Condition | undefined): Condition | undefined {
  if (condition === undefined || condition.kind === 'always') return undefined;
  if (condition.kind === 'question') return { ...condition, is: !condition.is };
  return {
    kind: condition.kind === 'all' ? 'any' : 'all',
    of: condition.of.flatMap((one) => negated(one) ?? []),
  };
}

function size(condition: Condition): number {
  return 'of' in condition ? condition.of.length : 1;
}
