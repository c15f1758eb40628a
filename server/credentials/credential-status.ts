import type { FaultCode } from '../core/fault.ts';
import type { CachedKind } from '../telemetry/events.ts';

/** The cached credentials of one kind for one caller, which may differ in scopes, audience or resource. */
export interface KeptCredentials {
  readonly kind: CachedKind;
  readonly count: number;
  /** Until when the one that lasts longest is handed out, unless it is refreshed: milliseconds since the epoch. */
  readonly until: number;
}

/** The last exchange that failed for a ServiceAccount in one cloud. */
export interface LastFailure {
  readonly code: FaultCode;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What the server knows about the credentials of one caller in one cloud: never a token. */
export interface CredentialStatus {
  readonly kept: readonly KeptCredentials[];
  /** Since the ServiceAccount last changed; credentials may have been obtained after it. */
  readonly lastFailure?: LastFailure;
}

/** A {@link CredentialStatus} of the caches of a cloud, without those that have nothing. */
export function credentialStatus(
  kept: readonly (KeptCredentials | undefined)[],
  lastFailure: LastFailure | undefined,
): CredentialStatus {
  return {
    kept: kept.filter((each) => each !== undefined),
    ...(lastFailure !== undefined && { lastFailure }),
  };
}
