import type { Caller } from '../caller/caller.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

/** A credential of whatever cloud, and when it expires: milliseconds since the epoch. */
export interface Expiring {
  readonly expiresAt: number;
}

/** Far beyond the longest life of any cloud's credential, and any difference between two clocks. */
const ABSURD = 48 * 3_600_000;

/**
 * When a credential expires that was asked for at `askedAt` and that its cloud says to expire at `claimed`: by this
 * machine's clock no later than `longest` after it was asked for. Undefined if it has expired already, or if that is
 * not a time at which a credential can expire. All in milliseconds.
 */
export function expiryOf(claimed: number, askedAt: number, now: number, longest: number): number | undefined {
  if (!Number.isFinite(claimed) || claimed <= now || claimed > askedAt + ABSURD) return undefined;
  return Math.min(claimed, askedAt + longest);
}

/** Whom credentials are kept for: one `version` at a time in a `slot`; another one drops what the former had. */
export interface Identity {
  readonly slot: string;
  readonly version: string;
}

/**
 * Every Pod of a ServiceAccount shares its credentials, until the account is created again or annotated otherwise:
 * `annotated` gives what the cloud's annotations say, as far as credentials depend on it.
 * With `perPod` each Pod has its own: for providers whose attribute conditions look at the Pod's claims.
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
