import type { Caller } from '../caller/caller.ts';
import type { Secret } from '../core/secret.ts';
import type { Expiring } from '../credentials/expiring.ts';

export interface ExpiringToken extends Expiring {
  readonly token: Secret;
}

/** The tokens a caller can have; each method is single-flight and cached as the settings say. */
export interface Tokens {
  /**
   * The cached access token with life enough left, without waiting; undefined where an exchange is due.
   * The same object for as long as it is the same token, so it can key a WeakMap.
   */
  cachedAccessToken(caller: Caller, scopes: string): ExpiringToken | undefined;
  /**
   * An access token of the annotated Google account, or the federated token itself where there is no annotation.
   * `scopes` is the raw comma- or space-separated list, empty for the default.
   * Throws `google-unavailable`, `sts-refused`, `iam-permission-denied`, `google-api-disabled`, `google-account-missing`,
   * `iam-refused`, `account-annotation-invalid`, `parameter-invalid`, `caller-busy` and the Kubernetes codes of a TokenRequest.
   */
  accessToken(caller: Caller, scopes: string): Promise<ExpiringToken>;
  cachedIdToken(caller: Caller, audience: string): ExpiringToken | undefined;
  /** A Google-signed ID token for `audience`. Throws as above, and `account-annotation-missing`, `audience-missing`. */
  idToken(caller: Caller, audience: string): Promise<ExpiringToken>;
}
