import type { Caller } from '../caller/caller.ts';
import { readGoogleAccount } from './google-account.ts';

/** Whom tokens are kept for: one `version` at a time in a `slot`; another one drops what the former had. */
export interface Identity {
  readonly slot: string;
  readonly version: string;
}

/** Every Pod of a ServiceAccount shares its tokens, until the account is made anew or annotated otherwise. */
export function serviceAccountIdentity({ serviceAccount }: Caller): Identity {
  const { namespace, name, uid } = serviceAccount;
  const googleAccount = readGoogleAccount(serviceAccount);
  const account = googleAccount.kind === 'account' ? googleAccount.email : '';
  return { slot: `${namespace}/${name}`, version: `${uid} ${account}` };
}

/** Each Pod has its own: for providers whose attribute conditions look at the Pod's claims. */
export function podIdentity(caller: Caller): Identity {
  const { slot, version } = serviceAccountIdentity(caller);
  return { slot: `${slot}/${caller.boundTo.uid}`, version };
}
