import { decodeJwt } from 'jose';
import type { Effects } from '../core/effects.ts';
import type { GoogleFaultCode } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import { expiryOf } from '../credentials/credential.ts';
import { member } from '../credentials/upstream.ts';
import type { Impersonation } from './google-account.ts';
import type { GoogleOperation } from './google-fault.ts';
import { API_DISABLED, expired, postToGoogle, reasonsOf, unintelligible } from './post-to-google.ts';
import type { ExpiringToken } from './tokens.ts';

/** Google makes ID tokens for an hour. Milliseconds. */
const ID_TOKEN_LIFE = 3_600_000;

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
   * Throws `google-unavailable`, `iam-permission-denied`, `quota-project-denied`, `google-api-disabled`,
   * `google-account-missing` or `iam-refused`.
   */
  async generateAccessToken(
    bearer: Secret,
    impersonation: Impersonation,
    scopes: readonly string[],
    lifetimeSeconds: number,
    signal: AbortSignal,
  ): Promise<ExpiringToken> {
    const askedAt = this.#effects.now();
    const request = { scope: scopes, lifetime: `${lifetimeSeconds}s` };
    const answer = await this.#post(
      'access token',
      bearer,
      impersonation,
      'generateAccessToken',
      request,
      signal,
    );
    const token = member(answer, 'accessToken');
    const expireTime = member(answer, 'expireTime');
    if (typeof token !== 'string' || token === '' || typeof expireTime !== 'string') {
      throw unintelligible('access token');
    }
    const { now } = this.#effects;
    const expiresAt = expiryOf(Date.parse(expireTime), askedAt, now(), lifetimeSeconds * 1000);
    if (expiresAt === undefined) throw expired('access token');
    return { token: new Secret(token), expiresAt };
  }

  /**
   * An ID token of the account for `audience`, its email included; Google makes them for 1 h.
   * Throws as {@link generateAccessToken} does.
   */
  async generateIdToken(
    bearer: Secret,
    impersonation: Impersonation,
    audience: string,
    signal: AbortSignal,
  ): Promise<ExpiringToken> {
    const askedAt = this.#effects.now();
    const request = { audience, includeEmail: true };
    const answer = await this.#post(
      'identity token',
      bearer,
      impersonation,
      'generateIdToken',
      request,
      signal,
    );
    const token = member(answer, 'token');
    const exp = typeof token === 'string' ? expOf(token) : undefined;
    if (typeof token !== 'string' || exp === undefined) throw unintelligible('identity token');
    const expiresAt = expiryOf(exp * 1000, askedAt, this.#effects.now(), ID_TOKEN_LIFE);
    if (expiresAt === undefined) throw expired('identity token');
    return { token: new Secret(token), expiresAt };
  }

  #post(
    operation: GoogleOperation,
    bearer: Secret,
    { account, quotaProject }: Impersonation,
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<unknown> {
    return postToGoogle(
      this.#effects,
      {
        operation,
        url: `${this.#accountsURL}${account}:${method}`,
        headers: {
          authorization: `Bearer ${bearer.reveal()}`,
          'content-type': 'application/json',
          ...(quotaProject !== undefined && { 'x-goog-user-project': quotaProject }),
        },
        body: JSON.stringify(request),
        credential: bearer,
        refusal: refusalCode,
      },
      signal,
    );
  }
}

function refusalCode(status: number, body: unknown): GoogleFaultCode {
  if (status === 403) return denialCode(reasonsOf(body));
  return status === 404 ? 'google-account-missing' : 'iam-refused';
}

/** The `exp` of a JWT, seconds since the epoch; undefined if there is none, or if the token is not a JWT. */
function expOf(idToken: string): number | undefined {
  try {
    const { exp } = decodeJwt(idToken);
    // jose checks no claim here
    return typeof exp === 'number' ? exp : undefined;
  } catch {
    return undefined;
  }
}

function denialCode(reasons: readonly unknown[]): GoogleFaultCode {
  if (reasons.includes(API_DISABLED)) return 'google-api-disabled';
  // the caller may not use the project of `x-goog-user-project`
  return reasons.includes('USER_PROJECT_DENIED') ? 'quota-project-denied' : 'iam-permission-denied';
}
