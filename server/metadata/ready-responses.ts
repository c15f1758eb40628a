import type { Caller } from '../caller/caller.ts';
import type { Now } from '../core/effects.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import type { RouteMetrics } from '../telemetry/route-metrics.ts';
import { etagOf, headersOf, type MetadataResponse } from './response.ts';

/** Reads a header of a request; null without one. */
export type Header = (name: string) => string | null;

/** A successful response as it goes on the wire. */
export interface ReadyResponse {
  readonly body: string;
  /** Made once: a Headers object costs less to send than a literal that is read each time. */
  readonly init: { readonly headers: Headers };
}

/**
 * The response to the same request of the same caller once more, from what is known and cached, without a promise.
 * Undefined for anything unusual, refusals included: these take the general path, the only one that decides. So it checks
 * the headers that the general path checks, except those that hold for every path.
 */
export type Again = (header: Header) => ReadyResponse | undefined;

export function readyOf(response: Omit<MetadataResponse, 'status'>): ReadyResponse {
  return { body: response.body, init: { headers: new Headers(headersOf(response)) } };
}

interface Entry {
  readonly again: Again;
  readonly metrics: RouteMetrics;
}

/** For each caller, the longest URL and the largest body: nobody needs more, and whoever asks for more pays with time. */
const MOST_OF_ONE = 16;
const LONGEST_URL = 1024;
const LARGEST_BODY = 8192;

/**
 * The requests of each caller that were successful, and how to respond to each again. A caller is another object as soon
 * as anything about it changes, and is forgotten with its Pod.
 */
export class ReadyResponses {
  readonly #ofCallers = new WeakMap<Caller, Map<string, Entry>>();

  of(caller: Caller, url: string): Entry | undefined {
    return this.#ofCallers.get(caller)?.get(url);
  }

  remember(caller: Caller, url: string, entry: Entry, { body }: MetadataResponse): void {
    if (url.length > LONGEST_URL || body.length > LARGEST_BODY) return;
    const ofCaller = this.#ofCallers.get(caller) ?? new Map<string, Entry>();
    this.#ofCallers.set(caller, ofCaller);
    ofCaller.set(url, entry);
    const [oldest] = ofCaller.keys();
    if (ofCaller.size > MOST_OF_ONE && oldest !== undefined) ofCaller.delete(oldest);
  }
}

/** An access token as it goes on the wire. */
interface TokenResponse extends ReadyResponse {
  readonly etag: string;
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
  readonly #ofIDTokens = new WeakMap<ExpiringToken, ReadyResponse>();
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

  /** An ID token, which is the whole body. */
  ofIDToken(token: ExpiringToken): ReadyResponse {
    const known = this.#ofIDTokens.get(token);
    if (known !== undefined) return known;
    const body = token.token.reveal();
    const made = readyOf({ contentType: 'application/text', body, etag: this.etag(token) });
    this.#ofIDTokens.set(token, made);
    return made;
  }

  /** Undefined if less than a second is left: Go rejects `expires_in: 0` as an incomplete token. */
  of(token: ExpiringToken): TokenResponse | undefined {
    const seconds = Math.min(Math.floor((token.expiresAt - this.#now()) / 1000), this.#longestSeconds);
    if (seconds < 1) return undefined;
    const kept = this.#kept.get(token);
    if (kept === undefined) {
      const etag = this.etag(token);
      const made = {
        ...readyOf({ contentType: 'application/json', body: bodyOf(token, seconds), etag }),
        seconds,
        etag,
      };
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
