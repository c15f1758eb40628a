import type { Effects } from '../core/effects.ts';
import type { GoogleFaultCode } from '../core/fault.ts';
import type { Secret } from '../core/secret.ts';
import {
  callUpstream,
  isTransientStatus,
  member,
  parseJSON,
  redacted,
  type UpstreamRequest,
  type UpstreamResponse,
} from '../credentials/upstream.ts';
import { GoogleFault, type GoogleOperation } from './google-fault.ts';

interface GoogleRequest extends UpstreamRequest {
  readonly operation: GoogleOperation;
  /** The credential it carries: removed from whatever Google says back. */
  readonly credential: Secret;
  /** The code of a permanent refusal with this HTTP status and body. */
  readonly refusal: (status: number, body: unknown) => GoogleFaultCode;
}

/**
 * The JSON that Google responds to a POST with. Throws a {@link GoogleFault}: `google-unavailable` if there is no
 * response, an unintelligible one, 408, 429 or a 5xx; the request's own code on any other status but 200.
 */
export async function postToGoogle(
  effects: Pick<Effects, 'fetch' | 'now'>,
  request: GoogleRequest,
  signal: AbortSignal,
): Promise<unknown> {
  const { operation } = request;
  let response: UpstreamResponse;
  try {
    response = await callUpstream(effects, request, signal);
  } catch (cause) {
    throw new GoogleFault('google-unavailable', { operation, cause });
  }
  const { status, text, retryAfter } = response;
  const json = parseJSON(text);
  if (status === 200 && json !== undefined) return json;
  const googleMessage = redacted(messageOf(json), request.credential);
  const code = isTransientStatus(status) ? 'google-unavailable' : request.refusal(status, json);
  throw new GoogleFault(code, { operation, status, googleMessage, retryAfter });
}

/** The fault for a 200 whose JSON is not what the API promises. */
export function unintelligible(operation: GoogleOperation): GoogleFault {
  return new GoogleFault('google-unavailable', {
    operation,
    status: 200,
    googleMessage: 'the response lacks a field that the API promises',
  });
}

/** The fault for a token that has expired already, or at a time that nobody could mean. */
export function expired(operation: GoogleOperation): GoogleFault {
  return new GoogleFault('google-unavailable', {
    operation,
    status: 200,
    googleMessage: 'the token has expired already, or its expiry is not a time',
    remedy: "Check this Node's clock.",
  });
}

/** A reason of {@link reasonsOf}: the API is not enabled in the project that the call is counted against. */
export const API_DISABLED = 'SERVICE_DISABLED';

/** Why Google refused, as each ErrorInfo of the body says: google.rpc.error_details. */
export function reasonsOf(body: unknown): readonly unknown[] {
  const details = member(member(body, 'error'), 'details');
  return Array.isArray(details) ? details.map((detail) => member(detail, 'reason')) : [];
}

/** IAM says `{error: {message}}` (google.rpc.Status), STS `{error, error_description}` (RFC 6749, 5.2). */
function messageOf(json: unknown): string {
  const error = member(json, 'error');
  const description = member(json, 'error_description');
  const parts = typeof error === 'string' ? [error, description] : [member(error, 'message')];
  return parts.filter((part) => typeof part === 'string').join(': ');
}
