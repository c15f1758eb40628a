import type { Now } from '../core/effects.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import type { RouteMetrics } from '../telemetry/route-metrics.ts';
import type { MetadataDependencies } from './metadata-api.ts';
import { etagOf, headersOf } from './response.ts';

interface TokenFastPathDependencies
  extends Pick<MetadataDependencies, 'callers' | 'tokens' | 'effects' | 'draining'> {
  readonly tokenResponses: TokenResponses;
  readonly metrics: RouteMetrics;
  /** Whether a Host is this server's. */
  isOurs(host: string | null): boolean;
  peerOf(request: Request): string | undefined;
}

/**
 * Responds to a request for the default token from what is known and cached, without a promise. Undefined for
 * anything unusual, refusals included: those take the general path, the only one that decides.
 *
 * Nearly every request ends here, and a response alone costs Bun some 10 µs, so each read was measured (share of the
 * throughput): the URL 6 %, joining the body 10 % (hence {@link TokenResponses}), headers from an object literal 1 to
 * 2 %, an absent header, the clock and the look-ups less than can be measured.
 */
export function tokenFastPath(
  dependencies: TokenFastPathDependencies,
): (request: Request) => Response | undefined {
  const { callers, tokens, effects, draining, isOurs, tokenResponses, metrics, peerOf } = dependencies;
  return (request) => {
    const start = effects.now();
    const { headers } = request;
    if (headers.get('metadata-flavor') !== 'Google') return undefined;
    if (headers.get('x-forwarded-for') !== null || !isOurs(headers.get('host'))) return undefined;
    if (draining.aborted || request.url.includes('?')) return undefined;
    const peer = peerOf(request);
    const caller = peer === undefined ? undefined : callers.known(peer);
    if (caller === undefined) return undefined;
    const token = tokens.cachedAccessToken(caller);
    const known = token === undefined ? undefined : tokenResponses.of(token);
    if (known === undefined) return undefined;
    const response = new Response(known.body, known.init);
    metrics.record(request.method, 200, (effects.now() - start) / 1000);
    return response;
  };
}

/** An access token as it goes on the wire. */
interface TokenResponse {
  readonly body: string;
  readonly etag: string;
  /** Made once for each token: a Headers object costs less to send than a literal that is read each time. */
  readonly init: { readonly headers: Headers };
}

interface Kept extends TokenResponse {
  body: string;
  seconds: number;
}

/**
 * Access tokens as responses. `expires_in` is the remaining life, at most the longest duration configured. Joining the
 * token and it costs as much as the rest of a cached response, so the text is kept for the second it is valid for.
 */
export class TokenResponses {
  readonly #kept = new WeakMap<ExpiringToken, Kept>();
  readonly #etags = new WeakMap<ExpiringToken, string>();
  readonly #longestSeconds: number;
  readonly #now: Now;

  constructor(longestSeconds: number, now: Now) {
    this.#longestSeconds = longestSeconds;
    this.#now = now;
  }

  /** The ETag of a token of either kind: of the token itself, whatever its remaining life. */
  etag(token: ExpiringToken): string {
    const known = this.#etags.get(token);
    if (known !== undefined) return known;
    const etag = etagOf(token.token.reveal());
    this.#etags.set(token, etag);
    return etag;
  }

  /** Undefined if less than a second is left: Go rejects `expires_in: 0` as an incomplete token. */
  of(token: ExpiringToken): TokenResponse | undefined {
    const seconds = Math.min(Math.floor((token.expiresAt - this.#now()) / 1000), this.#longestSeconds);
    if (seconds < 1) return undefined;
    const kept = this.#kept.get(token);
    if (kept === undefined) {
      const etag = this.etag(token);
      const headers = new Headers(headersOf({ contentType: 'application/json', etag }));
      const made = { body: bodyOf(token, seconds), seconds, etag, init: { headers } };
      this.#kept.set(token, made);
      return made;
    }
    if (kept.seconds !== seconds) {
      kept.body = bodyOf(token, seconds);
      kept.seconds = seconds;
    }
    return kept;
  }
}

function bodyOf({ token }: ExpiringToken, seconds: number): string {
  return JSON.stringify({ access_token: token.reveal(), expires_in: seconds, token_type: 'Bearer' });
}
