import type { Caller } from '../caller/caller.ts';
import type { Secret } from '../core/secret.ts';
import type { Expiring } from '../credentials/credential.ts';

export interface ExpiringToken extends Expiring {
  readonly token: Secret;
}

/**
 * The tokens a caller can have: at once if cached, else a promise. Each method is single-flight and caches as the
 * settings say. A token is the same object for as long as it is the same token, so it can key a WeakMap.
 */
export interface Tokens {
  /**
   * The cached access token for scopes as {@link normaliseScopes} spells them, by default {@link DEFAULT_SCOPES};
   * undefined if {@link accessToken} would have to wait.
   */
  cachedAccessToken(caller: Caller, scopes?: string): ExpiringToken | undefined;
  /** The cached ID token; undefined if {@link idToken} would have to wait. */
  cachedIDToken(caller: Caller, audience: string): ExpiringToken | undefined;
  /**
   * An access token of the annotated Google account, or the federated token itself if there is no annotation.
   * `scopes` is the raw comma- or space-separated list, empty for the default.
   * The promise rejects with `google-unavailable`, `sts-refused`, `iam-permission-denied`, `google-api-disabled`, `google-account-missing`,
   * `iam-refused`, `account-annotation-invalid`, `parameter-invalid`, `caller-busy` and the Kubernetes codes of a TokenRequest.
   */
  accessToken(caller: Caller, scopes: string): ExpiringToken | Promise<ExpiringToken>;
  /** A Google-signed ID token for `audience`. Rejects as above, and with `account-annotation-missing` and `audience-missing`. */
  idToken(caller: Caller, audience: string): ExpiringToken | Promise<ExpiringToken>;
}

/** The scopes of a token if the caller names none, as on GKE. Separated by spaces, in order. */
export const DEFAULT_SCOPES =
  'https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email';

const LONGEST_LIST = 4096;
const MOST_SCOPES = 32;
// scope-token of RFC 6749, 3.3, without the comma that separates them here
const SCOPE = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,256}$/;

/**
 * The list in its one spelling: sorted, each once, separated by single spaces, so that lists which mean the same
 * share one token; the default for an empty list. Undefined if it is too long or holds something that is not a scope.
 */
export function normaliseScopes(list: string): string | undefined {
  if (list === '') return DEFAULT_SCOPES;
  if (list.length > LONGEST_LIST) return undefined;
  const scopes = new Set(list.split(/[,\s]+/));
  scopes.delete('');
  if (scopes.size === 0) return DEFAULT_SCOPES;
  if (scopes.size > MOST_SCOPES) return undefined;
  for (const scope of scopes) {
    if (!SCOPE.test(scope)) return undefined;
  }
  return [...scopes].sort().join(' ');
}
