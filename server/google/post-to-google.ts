import type { Effects } from '../core/effects.ts';
import type { Secret } from '../core/secret.ts';
import { GoogleFault, type GoogleFaultCode, type GoogleOperation } from './google-fault.ts';
import { printable } from './printable.ts';

export interface GoogleRequest {
  readonly operation: GoogleOperation;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The credential it carries: removed from whatever Google says back. */
  readonly credential: Secret;
  /** The code of a permanent refusal with this HTTP status. */
  readonly refusal: (status: number) => GoogleFaultCode;
}

/** The largest token is 12,288 bytes; anything far beyond is not an answer of Google's. */
const LONGEST_ANSWER_BYTES = 64 * 1024;
const LONGEST_MESSAGE = 300;
// Longer than any name in Google's messages, shorter than any of its tokens.
const TOKEN_LIKE = /[A-Za-z0-9._~+=-]{80,}/g;

/**
 * The JSON that Google answers a POST with. Throws a {@link GoogleFault}: `google-unavailable` where there is no
 * answer, an unintelligible one, 408, 429 or a 5xx; the request's own code on any other status but 200.
 */
export async function postToGoogle(
  { fetch, now }: Pick<Effects, 'fetch' | 'now'>,
  request: GoogleRequest,
  signal: AbortSignal,
): Promise<unknown> {
  const { operation } = request;
  let response: Response;
  let answer: string;
  try {
    response = await fetch(request.url, {
      method: 'POST',
      headers: request.headers,
      body: request.body,
      // a credential goes to the endpoint that was configured and nowhere else
      redirect: 'manual',
      signal,
    });
    answer = await readBounded(response);
  } catch (cause) {
    throw new GoogleFault('google-unavailable', { operation, cause });
  }
  const { status } = response;
  const json = parseJSON(answer);
  if (status === 200 && json !== undefined) return json;
  const googleMessage = messageOf(json, request.credential);
  const retryAfter = parseRetryAfter(response.headers.get('retry-after'), now());
  const permanent = status >= 400 && status < 500 && status !== 408 && status !== 429;
  const code = permanent ? request.refusal(status) : 'google-unavailable';
  throw new GoogleFault(code, { operation, status, googleMessage, retryAfter });
}

/** The fault for a 200 whose JSON lacks what the API promises. */
export function unintelligible(operation: GoogleOperation): GoogleFault {
  return new GoogleFault('google-unavailable', {
    operation,
    status: 200,
    googleMessage: 'the answer lacks what its API promises',
  });
}

/** The member of a JSON object from outside; undefined where it is none. */
export function member(json: unknown, name: string): unknown {
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, name)) return undefined;
  // hasOwn has just shown that it is there
  return (json as Record<string, unknown>)[name];
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > LONGEST_ANSWER_BYTES) throw new Error(`an answer longer than ${LONGEST_ANSWER_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // an HTML page of some proxy in between: its status says what there is to say
    return undefined;
  }
}

/** IAM says `{error: {message}}` (google.rpc.Status), STS `{error, error_description}` (RFC 6749, 5.2). */
function messageOf(json: unknown, credential: Secret): string {
  const error = member(json, 'error');
  const description = member(json, 'error_description');
  const parts = typeof error === 'string' ? [error, description] : [member(error, 'message')];
  const words = parts.filter((part) => typeof part === 'string').join(': ');
  const harmless = words.replaceAll(credential.reveal(), '[redacted]').replace(TOKEN_LIKE, '[redacted]');
  return printable(harmless, LONGEST_MESSAGE);
}

/** Milliseconds: RFC 9110, 10.2.3, seconds or a date. */
function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const milliseconds = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}
