import type { Effects } from '../core/effects.ts';
import { Secret } from '../core/secret.ts';
import { expiryOf } from '../credentials/credential.ts';
import {
  callUpstream,
  isTransientStatus,
  member,
  parseJSON,
  redacted,
  type UpstreamResponse,
} from '../credentials/upstream.ts';
import type { KubernetesToken } from '../kubernetes/objects.ts';
import { AzureFault } from './azure-fault.ts';
import type { AzureIdentity } from './azure-identity.ts';

/** An access token of Entra. */
export interface AzureToken {
  readonly token: Secret;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly clientID: string;
  readonly resource: string;
}

const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** The longest lifetime that Entra gives: https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes */
const LONGEST = 28 * 3_600_000;
/** Errors that a retry may overcome, although their status is 400 or 401: Entra's own, and a slow issuer. */
const TRANSIENT = ['temporarily_unavailable', 'server_error'];

/** Microsoft Entra's token endpoint: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
export class Entra {
  /** `authorityHost` is a base URL without a trailing slash. */
  constructor(
    private readonly authorityHost: string,
    private readonly effects: Pick<Effects, 'fetch' | 'now'>,
  ) {}

  /**
   * An access token of `identity` for `resource`, with a token of the cluster as the client assertion (RFC 7523).
   * Throws `entra-unavailable` or `entra-refused`.
   */
  async exchange(
    assertion: KubernetesToken,
    { clientID, tenantID }: AzureIdentity,
    resource: string,
    signal: AbortSignal,
  ): Promise<AzureToken> {
    const issuedAt = this.effects.now();
    const response = await this.#post(
      `${this.authorityHost}/${tenantID}/oauth2/v2.0/token`,
      {
        grant_type: 'client_credentials',
        client_id: clientID,
        // as given: https://database.windows.net/ becomes …//.default, which Entra takes for that very audience
        scope: `${resource}/.default`,
        client_assertion_type: CLIENT_ASSERTION_TYPE,
        client_assertion: assertion.token.reveal(),
      },
      signal,
    );
    const json = parseJSON(response.text);
    if (response.status !== 200) throw refusal(response, json, assertion.token);
    const token = member(json, 'access_token');
    const expiresIn = Number(member(json, 'expires_in'));
    const expiresAt = expiryOf(issuedAt + expiresIn * 1000, issuedAt, this.effects.now(), LONGEST);
    if (typeof token !== 'string' || token === '' || expiresAt === undefined) {
      throw new AzureFault('entra-unavailable', {
        status: 200,
        description: 'the response lacks a token, or the time at which it expires',
      });
    }
    return { token: new Secret(token), expiresAt, issuedAt, clientID, resource };
  }

  async #post(url: string, form: Record<string, string>, signal: AbortSignal): Promise<UpstreamResponse> {
    try {
      return await callUpstream(
        this.effects,
        {
          url,
          headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
          body: new URLSearchParams(form).toString(),
        },
        signal,
      );
    } catch (cause) {
      throw new AzureFault('entra-unavailable', { cause });
    }
  }
}

function refusal({ status, retryAfter }: UpstreamResponse, json: unknown, credential: Secret): AzureFault {
  const error = textOf(member(json, 'error'));
  // the first line is the error; trace and correlation IDs follow
  const description = redacted(textOf(member(json, 'error_description')), credential);
  const isTransient = isTransientStatus(status) || TRANSIENT.includes(error);
  return new AzureFault(isTransient ? 'entra-unavailable' : 'entra-refused', {
    status,
    error: /^[a-z_]{1,64}$/.test(error) ? error : '',
    description,
    retryAfter,
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
