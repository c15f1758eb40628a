import type { Caller } from '../caller/caller.ts';
import { printable } from '../core/printable.ts';
import type { CredentialStatus } from '../credentials/credential-status.ts';

/** The clouds in the order in which they are shown, and what a person calls them. */
export const CLOUD_TITLES = { google: 'Google', aws: 'AWS', azure: 'Azure' } as const;

export type CloudName = keyof typeof CLOUD_TITLES;

export const CLOUD_NAMES = Object.keys(CLOUD_TITLES) as readonly CloudName[];

/** What only the running server knows. Its JSON is what the server tells `explain` of the same version. */
export interface NodeStatus {
  readonly callers: readonly CallerStatus[];
}

interface CallerStatus {
  /** Of the Pod, or of the Node. */
  readonly uid: string;
  /** Without the clouds that are switched off. */
  readonly clouds: Readonly<Partial<Record<CloudName, CredentialStatus>>>;
}

/** More than Kubernetes allows on a Node by far; the rest is left out. */
const MOST_CALLERS = 1000;
const LONGEST_REASON = 300;

/** Where a server with these settings tells what it knows. Each Pod has a /dev/shm of its own, also on the host network. */
export function statusSocketOf({ healthPort }: { readonly healthPort: number }): string {
  return `/dev/shm/gke-metadata-server-${healthPort}.sock`;
}

/** What a server has cached for its callers, and what last failed: no token, and bounded. */
export function nodeStatus(
  callers: Iterable<Caller>,
  clouds: Readonly<Record<CloudName, { status(caller: Caller): CredentialStatus } | undefined>>,
): NodeStatus {
  const told: CallerStatus[] = [];
  for (const caller of callers) {
    if (told.length === MOST_CALLERS) break;
    const entries = CLOUD_NAMES.flatMap((name) => {
      const status = clouds[name]?.status(caller);
      return status === undefined ? [] : [[name, shortened(status)] as const];
    });
    told.push({ uid: caller.boundTo.uid, clouds: Object.fromEntries(entries) });
  }
  return { callers: told };
}

function shortened({ kept, lastFailure }: CredentialStatus): CredentialStatus {
  if (lastFailure === undefined) return { kept };
  return { kept, lastFailure: { ...lastFailure, reason: printable(lastFailure.reason, LONGEST_REASON) } };
}
