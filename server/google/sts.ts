import type { Effects } from '../core/effects.ts';
import type { GoogleFaultCode } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import { expiryOf } from '../credentials/credential.ts';
import { member } from '../credentials/upstream.ts';
import type { KubernetesToken } from '../kubernetes/objects.ts';
import { API_DISABLED, expired, postToGoogle, reasonsOf, unintelligible } from './post-to-google.ts';
import type { ExpiringToken } from './tokens.ts';

const OPERATION = 'federated token';

/** Google's Security Token Service: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token */
export class Sts {
  readonly #url: string;
  readonly #audience: string;
  readonly #effects: Pick<Effects, 'fetch' | 'now'>;

  /** `endpoint` is a base URL without a trailing slash, `audience` the provider's `//iam.googleapis.com/…`. */
  constructor(endpoint: string, audience: string, effects: Pick<Effects, 'fetch' | 'now'>) {
    this.#url = `${endpoint}/v1/token`;
    this.#audience = audience;
    this.#effects = effects;
  }

  /**
   * The federated token for a token of the cluster's (RFC 8693, 2.1); `scope` is separated by spaces.
   * It expires no later than that one. Throws `google-unavailable`, `sts-refused`,
   * `sts-subject-too-long` or `google-api-disabled`.
   */
  async exchange(subject: KubernetesToken, scope: string, signal: AbortSignal): Promise<ExpiringToken> {
    const askedAt = this.#effects.now();
    const answer = await postToGoogle(
      this.#effects,
      {
        operation: OPERATION,
        url: this.#url,
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          audience: this.#audience,
          scope,
          requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          subject_token: subject.token.reveal(),
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        }).toString(),
        credential: subject.token,
        refusal: (_, body) => refusalCode(body),
      },
      signal,
    );
    const token = member(answer, 'access_token');
    if (typeof token !== 'string' || token === '') throw unintelligible(OPERATION);
    const expiresIn = member(answer, 'expires_in') ?? undefined;
    // Optional in RFC 8693, 2.2.1, and Google leaves it out at times; the federated token then ends with its subject.
    const claimed = expiresIn === undefined ? subject.expiresAt : askedAt + Number(expiresIn) * 1000;
    const expiresAt = expiryOf(claimed, askedAt, this.#effects.now(), subject.expiresAt - askedAt);
    if (expiresAt === undefined) throw expired(OPERATION);
    return { token: new Secret(token), expiresAt };
  }
}

function refusalCode(body: unknown): GoogleFaultCode {
  if (isSubjectTooLong(body)) return 'sts-subject-too-long';
  return reasonsOf(body).includes(API_DISABLED) ? 'google-api-disabled' : 'sts-refused';
}

/** Google's words of 2026: 'The size of mapped attribute google.subject exceeds the 127 bytes limit. …' */
function isSubjectTooLong(body: unknown): boolean {
  const description = member(body, 'error_description');
  return typeof description === 'string' && /google\.subject exceeds the \d+ bytes? limit/.test(description);
}
