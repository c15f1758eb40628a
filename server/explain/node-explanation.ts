import type { FaultCode } from '../core/fault.ts';
import type { CachedKind } from '../telemetry/events.ts';
import { harmless } from './explanation.ts';
import { CLOUD_NAMES, CLOUD_TITLES, type CloudName } from './node-status.ts';

/** Why there is no identity. */
interface Failure {
  readonly code: FaultCode;
  readonly reason: string;
  readonly remedy: string;
}

/**
 * Who a Pod is in one cloud: `identity`, or `failure`, or neither if no annotation makes it anybody there. What the running
 * server knows: `cached` and `lastFailure`. Times in RFC 3339.
 */
export interface CloudIdentity {
  readonly identity?: string;
  readonly failure?: Failure;
  readonly cached?: readonly {
    readonly kind: CachedKind;
    readonly count: number;
    readonly until: string;
  }[];
  readonly lastFailure?: { readonly code: FaultCode; readonly reason: string; readonly at: string };
}

/** One Pod; `serviceAccount` and the clouds that are switched on, or why it has no identity at all. */
export interface PodIdentities {
  readonly pod: string;
  readonly serviceAccount?: string;
  readonly hostNetwork: boolean;
  readonly finished: boolean;
  readonly failure?: Failure;
  readonly clouds: Readonly<Partial<Record<CloudName, CloudIdentity>>>;
}

/** The Pods of a Node and who they are. Its JSON is the output of `explain --json` without a Pod. */
export interface NodeExplanation {
  readonly node: string;
  /** Whether the running server said what it knows; otherwise nothing has `cached` or `lastFailure`. */
  readonly ok: boolean;
  /** Why it did not. */
  readonly server?: { readonly reason: string; readonly remedy: string };
  /** By Namespace and name. */
  readonly pods: readonly PodIdentities[];
}

const TITLE_WIDTH = 10;
const KIND_TITLES: Readonly<Record<CachedKind, string>> = {
  'federated-token': 'federated token',
  'access-token': 'access token',
  'id-token': 'ID token',
  'aws-credentials': 'credentials',
  'azure-token': 'token',
};

/** The explanation for a person. */
export function nodeExplanationText({ node, server, pods }: NodeExplanation): string {
  const lines = [`Node ${node}, ${pods.length} ${pods.length === 1 ? 'Pod' : 'Pods'}`];
  for (const pod of pods) lines.push('', ...podLines(pod));
  if (server !== undefined) {
    lines.push(
      '',
      `The running server cannot be asked what it has cached and what last failed: ${server.reason}`,
      `→ ${server.remedy}`,
    );
  }
  return `${lines.map(harmless).join('\n')}\n`;
}

function podLines({ pod, serviceAccount, hostNetwork, finished, failure, clouds }: PodIdentities): string[] {
  const where = hostNetwork ? ', on the host network' : '';
  const who = serviceAccount === undefined ? '' : `, ServiceAccount ${serviceAccount}`;
  const first = `Pod ${pod}${who}${where}`;
  if (finished) return [`${first}: has finished`];
  if (failure !== undefined) return [first, ...failureLines('', failure)];
  return [
    first,
    ...CLOUD_NAMES.flatMap((name) => {
      const cloud = clouds[name];
      return cloud === undefined ? [] : cloudLines(CLOUD_TITLES[name], cloud);
    }),
  ];
}

function cloudLines(title: string, { identity, failure, cached = [], lastFailure }: CloudIdentity): string[] {
  const lines = failure === undefined ? [line(title, identity ?? 'nobody')] : failureLines(title, failure);
  for (const { kind, count, until } of cached) {
    const several = count === 1 ? '' : ` (${count})`;
    lines.push(line('', `${KIND_TITLES[kind]}${several} cached until ${until}`));
  }
  if (lastFailure !== undefined) {
    lines.push(line('', `last failed at ${lastFailure.at}: ${lastFailure.code}: ${lastFailure.reason}`));
  }
  return lines;
}

function failureLines(title: string, { code, reason, remedy }: Failure): string[] {
  return [line(title, `${code}: ${reason}`), line('', `→ ${remedy}`)];
}

function line(title: string, text: string): string {
  return `  ${title.padEnd(TITLE_WIDTH)}${text}`;
}
