import { type ExplainedStep, type Explanation, STEP_TITLES } from './explanation.ts';

const OUTCOMES = { ok: 'ok', failed: 'failed', 'not-reached': 'not reached' } as const;
const OUTCOME_WIDTH = 13;
const TITLE_WIDTH = 16;

/** The explanation for a person: a line a step, and below it what there is to do, once where several ask for it. */
export function explanationText({ pod, node, ok, steps }: Explanation): string {
  const failed = steps.filter(({ outcome }) => outcome === 'failed').map(({ step }) => STEP_TITLES[step]);
  const verdict = ok ? 'Every step is ok.' : `Failed: ${failed.join(', ')}.`;
  const remedies = new Set<string>();
  const told = steps.flatMap((step) => {
    const { remedy } = step;
    if (remedy === undefined || remedies.has(remedy)) return [stepLine(step)];
    remedies.add(remedy);
    return [stepLine(step), ...remedyLines(remedy)];
  });
  const lines = [`Pod ${pod}, asked of the server of Node ${node}`, '', ...told, '', verdict];
  return `${lines.map(harmless).join('\n')}\n`;
}

function stepLine({ step, outcome, summary }: ExplainedStep): string {
  return `${OUTCOMES[outcome].padEnd(OUTCOME_WIDTH)}${STEP_TITLES[step].padEnd(TITLE_WIDTH)}${summary}`;
}

function remedyLines(remedy: string): string[] {
  const indent = ' '.repeat(OUTCOME_WIDTH + TITLE_WIDTH);
  return remedy.split('\n').map((line, position) => `${indent}${position === 0 ? '→ ' : '  '}${line}`);
}

/** Some of it was written by the Pod's owner: nothing in it may steer the terminal it is read on. */
function harmless(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}
