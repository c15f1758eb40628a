import type { FaultCode } from '../core/fault.ts';

/** The steps from a Pod to Google's tokens in the order in which they are taken, and what a person calls them. */
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
} as const;

export type StepName = keyof typeof STEP_TITLES;

/** What is wrong, where it is no {@link FaultCode}: what no request of the metadata API would be told. */
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
 * a person; `code` where it failed; `remedy`, lines separated by `\n`, where there is something to do; `facts` where
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
 * `{"pod": "NAMESPACE/NAME", "node": "NAME", "ok": true, "steps": […]}`, with every step in its order.
 */
export interface Explanation {
  readonly pod: string;
  /** The Node of the server that was asked, which need not be the Pod's. */
  readonly node: string;
  /** Whether no step failed; one that is not needed is not reached. */
  readonly ok: boolean;
  readonly steps: readonly ExplainedStep[];
}
