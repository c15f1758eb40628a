import type { Caller } from '../caller/caller.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

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
