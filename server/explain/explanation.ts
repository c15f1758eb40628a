import type { FaultCode } from '../core/fault.ts';

/** The steps from a Pod to its clouds' tokens in the order in which they are taken, and what a person calls them. */
export const STEP_TITLES = {
  pod: 'Pod',
  node: 'Node',
  running: 'running',
  route: 'route',
  server: 'server',
  address: 'address',
  'service-account': 'ServiceAccount',
  annotation: 'annotation',
  'token-request': 'token request',
  sts: 'STS',
  'access-token': 'access token',
  'id-token': 'ID token',
  'aws-role': 'AWS role',
  'aws-credentials': 'AWS credentials',
  'azure-identity': 'Azure identity',
  'azure-token': 'Azure token',
} as const;

export type StepName = keyof typeof STEP_TITLES;

/** Why a step failed, if it is not a {@link FaultCode}: no request of the metadata API gets these. */
export type ExplainCode =
  | 'pod-missing'
  | 'pod-not-scheduled'
  | 'pod-on-other-node'
  | 'pod-finished'
  | 'route-missing'
  | 'route-not-ready'
  | 'server-not-ready'
  | 'address-missing'
  | 'address-of-another'
  | 'node-missing';

/**
 * One step. As JSON, of which names and codes stay as they are: `step` and `outcome` always, `summary` in words for
 * a person; `code` if it failed; `remedy`, lines separated by `\n`, if there is something to do; `facts` if
 * there are any: texts by name, times in RFC 3339, never a token.
 */
export interface ExplainedStep {
  readonly step: StepName;
  readonly outcome: 'ok' | 'failed' | 'not-reached';
  readonly summary: string;
  readonly code?: FaultCode | ExplainCode;
  readonly remedy?: string;
  readonly facts?: Readonly<Record<string, string>>;
}

/**
 * Why a Pod gets its tokens, or does not. Its JSON is the output of `explain --json`:
 * `{"pod": "NAMESPACE/NAME", "node": "NAME", "ok": true, "steps": […]}`, with every step in its order; those of
 * AWS and Azure only if they are switched on.
 */
export interface Explanation {
  readonly pod: string;
  /** The Node of the server that was asked, which need not be the Pod's. */
  readonly node: string;
  /** Whether no step failed; one that is not needed is not reached. */
  readonly ok: boolean;
  readonly steps: readonly ExplainedStep[];
}

const OUTCOMES = { ok: 'ok', failed: 'failed', 'not-reached': 'not reached' } as const;
const OUTCOME_WIDTH = 13;
const TITLE_WIDTH = 16;

/** The explanation for a person: a line a step, and below it what there is to do, once if several ask for it. */
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
export function harmless(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}
