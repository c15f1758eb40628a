import { expect, test } from 'bun:test';
import { learnCondition } from './condition.ts';

/** All answers to three questions, and what holds for each. */
function examples(holds: (...answers: boolean[]) => boolean) {
  return Array.from({ length: 8 }, (_, bits) => {
    const answers = [0, 1, 2].map((question) => (bits & (1 << question)) !== 0);
    return { answers, holds: holds(...answers) };
  });
}

const question = (number: number, is = true) => ({ kind: 'question', question: number, is }) as const;

test('what always holds, and what one question tells', () => {
  expect(learnCondition(examples(() => true))).toEqual({ kind: 'always' });
  expect(learnCondition(examples((_, b) => b === true))).toEqual(question(1));
  expect(learnCondition(examples((_a, _b, c) => c === false))).toEqual(question(2, false));
});

test('several questions together, and any of them', () => {
  expect(learnCondition(examples((a, b) => a === true && b === false))).toEqual({
    kind: 'all',
    of: [question(0), question(1, false)],
  });
  expect(learnCondition(examples((a, _, c) => a === true || c === true))).toEqual({
    kind: 'any',
    of: [question(0), question(2)],
  });
});

test('what the questions cannot tell is not guessed', () => {
  expect(learnCondition(examples((a, b) => a !== b))).toBeUndefined();
  expect(learnCondition([...examples(() => true), ...examples(() => false)])).toBeUndefined();
});
