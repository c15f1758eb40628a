import type { Effects } from '../core/effects.ts';
import { printable } from '../core/printable.ts';
import type { Secret } from '../core/secret.ts';

export interface UpstreamRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly text: string;
  /** The `Retry-After` in milliseconds, if there is one. */
  readonly retryAfter: number | undefined;
}

/** The largest token of any cloud is some 12 KiB; anything far larger is not a cloud's response. */
const LONGEST_RESPONSE_BYTES = 64 * 1024;
const LONGEST_MESSAGE = 300;
// Longer than any name in a cloud's messages, shorter than any of its tokens.
const TOKEN_LIKE = /[A-Za-z0-9._~+=-]{80,}/g;

/**
 * The one way to call a cloud: a POST that follows no redirect, whose response is bounded and that ends with `signal`,
 * which {@link retry} aborts at its time limit. Throws what fetch throws, and if the response is too long.
 */
export async function callUpstream(
  { fetch, now }: Pick<Effects, 'fetch' | 'now'>,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<UpstreamResponse> {
  const response = await fetch(request.url, {
    method: 'POST',
    headers: request.headers,
    body: request.body,
    // a credential goes to the configured endpoint and nowhere else
    redirect: 'manual',
    signal,
  });
  const text = await readBounded(response);
  const retryAfter = parseRetryAfter(response.headers.get('retry-after'), now());
  return { status: response.status, text, retryAfter };
}

/** Whether a retry after a response with this status may succeed. */
export function isTransientStatus(status: number): boolean {
  const permanent = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return !permanent;
}

/** The first line of a cloud's own message: bounded, printable, and without `credential` or anything like a token. */
export function redacted(message: string, credential: Secret): string {
  const harmless = message.replaceAll(credential.reveal(), '[redacted]').replace(TOKEN_LIKE, '[redacted]');
  return printable(harmless, LONGEST_MESSAGE);
}

/** The parsed JSON; undefined if it is not JSON, such as the HTML page of a proxy in between. */
export function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The member of a JSON object from outside; undefined if there is none. */
export function member(json: unknown, name: string): unknown {
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, name)) return undefined;
  // hasOwn has just shown that it is there
  return (json as Record<string, unknown>)[name];
}

/** The body as text. Throws if it is longer than a cloud's response. */
export async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > LONGEST_RESPONSE_BYTES) {
      throw new Error(`a response longer than ${LONGEST_RESPONSE_BYTES} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Milliseconds: RFC 9110, 10.2.3, seconds or a date. */
function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const milliseconds = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}
