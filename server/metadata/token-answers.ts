import type { Now } from '../core/effects.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import { etagOf, headersOf } from './answer.ts';

/** An access token as it goes on the wire. */
export interface TokenAnswer {
  readonly body: string;
  readonly etag: string;
  /** Made once a token: a Headers object costs less to send than a literal that is read anew each time. */
  readonly init: { readonly headers: Headers };
}

interface Kept extends TokenAnswer {
  body: string;
  seconds: number;
}

/**
 * Access tokens as answers. `expires_in` is what is left now, at most the longest duration configured. Joining the
 * token to it costs as much as all the rest of a cached answer, so the text is kept for the second it holds for.
 */
export class TokenAnswers {
  readonly #kept = new WeakMap<ExpiringToken, Kept>();
  readonly #etags = new WeakMap<ExpiringToken, string>();
  readonly #longestSeconds: number;
  readonly #now: Now;

  constructor(longestSeconds: number, now: Now) {
    this.#longestSeconds = longestSeconds;
    this.#now = now;
  }

  /** The ETag of a token of either kind: of the token itself, whatever is left of it. */
  etag(token: ExpiringToken): string {
    const known = this.#etags.get(token);
    if (known !== undefined) return known;
    const etag = etagOf(token.token.reveal());
    this.#etags.set(token, etag);
    return etag;
  }

  /** Undefined where not a whole second is left: Go reads `expires_in: 0` as a token that is incomplete. */
  of(token: ExpiringToken): TokenAnswer | undefined {
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
