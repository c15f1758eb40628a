import { decodeJwt } from 'jose';
import type { Effects } from '../core/effects.ts';
import { Secret } from '../core/secret.ts';
import { member } from '../credentials/upstream.ts';
import type { GoogleFaultCode, GoogleOperation } from './google-fault.ts';
import type { GoogleServiceAccountEmail } from './google-service-account-email.ts';
import { postToGoogle, unintelligible } from './post-to-google.ts';
import type { ExpiringToken } from './tokens.ts';

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts */
export class IamCredentials {
  readonly #accountsURL: string;
  readonly #effects: Pick<Effects, 'fetch' | 'now'>;

  /** `endpoint` is a base URL without a trailing slash. */
  constructor(endpoint: string, effects: Pick<Effects, 'fetch' | 'now'>) {
    this.#accountsURL = `${endpoint}/v1/projects/-/serviceAccounts/`;
    this.#effects = effects;
  }

  /**
   * An access token of the account, asked for by whoever `bearer` is; ends when Google says, and by this
   * machine's clock no later than `lifetimeSeconds` from now.
   * Throws `google-unavailable`, `iam-permission-denied`, `google-account-missing` or `iam-refused`.
   */
  async generateAccessToken(
    bearer: Secret,
    account: GoogleServiceAccountEmail,
    scopes: readonly string[],
    lifetimeSeconds: number,
    signal: AbortSignal,
  ): Promise<ExpiringToken> {
    const askedAt = this.#effects.now();
    const request = { scope: scopes, lifetime: `${lifetimeSeconds}s` };
    const answer = await this.#post(
      'access token',
      bearer,
      `${account}:generateAccessToken`,
      request,
      signal,
    );
    const token = member(answer, 'accessToken');
    const expireTime = member(answer, 'expireTime');
    const expiresAt = typeof expireTime === 'string' ? Date.parse(expireTime) : Number.NaN;
    if (typeof token !== 'string' || token === '' || Number.isNaN(expiresAt)) {
      throw unintelligible('access token');
    }
    return { token: new Secret(token), expiresAt: Math.min(expiresAt, askedAt + lifetimeSeconds * 1000) };
  }

  /**
   * An ID token of the account for `audience`, its email included; Google makes them for 1 h.
   * Throws as {@link generateAccessToken} does.
   */
  async generateIdToken(
    bearer: Secret,
    account: GoogleServiceAccountEmail,
    audience: string,
    signal: AbortSignal,
  ): Promise<ExpiringToken> {
    const request = { audience, includeEmail: true };
    const answer = await this.#post('identity token', bearer, `${account}:generateIdToken`, request, signal);
    const token = member(answer, 'token');
    const expiresAt = typeof token === 'string' ? expiryOf(token) : undefined;
    if (typeof token !== 'string' || expiresAt === undefined) throw unintelligible('identity token');
    return { token: new Secret(token), expiresAt };
  }

  #post(
    operation: GoogleOperation,
    bearer: Secret,
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<unknown> {
    return postToGoogle(
      this.#effects,
      {
        operation,
        url: this.#accountsURL + method,
        headers: { authorization: `Bearer ${bearer.reveal()}`, 'content-type': 'application/json' },
        body: JSON.stringify(request),
        credential: bearer,
        refusal: refusalCode,
      },
      signal,
    );
  }
}

function refusalCode(status: number): GoogleFaultCode {
  if (status === 403) return 'iam-permission-denied';
  return status === 404 ? 'google-account-missing' : 'iam-refused';
}

/** Milliseconds since the epoch; undefined where the token is no JWT that ends. */
function expiryOf(idToken: string): number | undefined {
  try {
    const { exp } = decodeJwt(idToken);
    return exp === undefined ? undefined : exp * 1000;
  } catch {
    return undefined;
  }
}
