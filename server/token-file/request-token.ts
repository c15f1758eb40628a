import type { Effects } from '../core/effects.ts';
import { printable } from '../core/printable.ts';
import {
  askServer,
  notReady,
  type Obstacle,
  obstacleToIdentity,
  type ServerEndpoint,
} from '../network/node-server.ts';
import { type IdToken, LONGEST_TOKEN, parseIdToken } from './id-token.ts';
import { TokenFileError } from './token-file-error.ts';

/** What token a Pod asks for, and how the server knows the Pod. */
export interface TokenRequest {
  readonly endpoint: ServerEndpoint;
  readonly podUID: string;
  readonly audience: string;
}

const LONGEST_LINE = 600;
/** An exchange that is not cached takes several calls to Google, which the server ends before that. */
const SECONDS = 30;

/**
 * A Google ID token of this Pod from the metadata server of its Node. The server is asked for the Pod's UID first, so
 * that a new Pod is never given a token of the previous Pod with its IP. Throws `token-unavailable` if another attempt
 * may succeed, `token-refused` if somebody has to change something first.
 */
export async function requestToken(
  { endpoint, podUID, audience }: TokenRequest,
  effects: Pick<Effects, 'fetch' | 'now' | 'sleep'>,
): Promise<IdToken> {
  const obstacle = await obstacleToIdentity(endpoint, podUID, effects);
  if (obstacle !== undefined) throw unavailable(obstacle);
  const query = new URLSearchParams({ audience, format: 'full' });
  const path = `service-accounts/default/identity?${query}`;
  const question = { path, longestBytes: LONGEST_TOKEN + 1, seconds: SECONDS };
  const response = await askServer(endpoint, question, effects);
  if ('seen' in response) throw unavailable(response);
  const { status, text, retryAfter } = response;
  if (status !== 200) {
    const lines = linesOf(text);
    if (isRefusal(status)) throw refused(status, lines);
    throw unavailable(notReady(status, lines.join(' '), endpoint), retryAfter);
  }
  const token = parseIdToken(text);
  if (token === undefined) {
    throw unavailable({
      seen: 'the metadata server responded with something other than an ID token',
      remedy: `Check that this release's server, and nothing else, listens on ${endpoint.server}.`,
    });
  }
  if (token.expiresAt <= effects.now()) {
    throw unavailable({
      seen: 'the ID token from the metadata server has already expired',
      remedy: "Check this Node's clock.",
    });
  }
  return token;
}

/** 4xx, except for those that ask for patience. */
function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function unavailable({ seen, remedy }: Obstacle, retryAfterSeconds = 0): TokenFileError {
  return new TokenFileError('token-unavailable', seen, { remedy, retryAfter: retryAfterSeconds * 1000 });
}

/** The first line of a refusal says why; those after it, if any, what to do. */
function refused(status: number, [reason = '', ...remedies]: readonly string[]): TokenFileError {
  const explain =
    "For each step, run gke-metadata-server explain NAMESPACE/POD in the server's Pod on this Pod's Node.";
  return new TokenFileError(
    'token-refused',
    `the metadata server refused an ID token (${status}): ${reason}`,
    {
      remedy: [...remedies, explain].join(' '),
    },
  );
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => printable(line, LONGEST_LINE))
    .filter((line) => line !== '')
    .slice(0, 5);
}
