import type { Caller } from '../caller/caller.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

/** A credential of any cloud, and when it expires: milliseconds since the epoch. */
export interface Expiring {
  readonly expiresAt: number;
}

/** Far beyond the longest lifetime of any cloud's credential and any difference between two clocks. */
const ABSURD = 48 * 3_600_000;

/**
 * When a credential expires that was requested at `askedAt` and whose cloud claims that it expires at `claimed`: by
 * this machine's clock no later than `longest` after the request. Undefined if it has already expired, or if
 * `claimed` is not a time at which a credential can expire. All in milliseconds.
 */
export function expiryOf(claimed: number, askedAt: number, now: number, longest: number): number | undefined {
  if (!Number.isFinite(claimed) || claimed <= now || claimed > askedAt + ABSURD) return undefined;
  return Math.min(claimed, askedAt + longest);
}

/** Whom credentials are cached for: one `version` at a time in a `slot`; a new version drops the credentials of the old. */
export interface Identity {
  readonly slot: string;
  readonly version: string;
}

/**
 * All Pods of a ServiceAccount share its credentials until the ServiceAccount is recreated or its annotations change:
 * `annotated` returns what credentials depend on in the cloud's annotations.
 * With `perPod` each Pod has its own, for providers whose conditions look at the Pod's claims.
 */
export function identityOf(
  { serviceAccount, boundTo }: Caller,
  annotated: (serviceAccount: ServiceAccount) => string,
  perPod: boolean,
): Identity {
  const { namespace, name, uid } = serviceAccount;
  const slot = `${namespace}/${name}`;
  return {
    slot: perPod ? `${slot}/${boundTo.uid}` : slot,
    version: `${uid} ${annotated(serviceAccount)}`,
  };
}
