import type { Effects } from '../core/effects.ts';
import { backoff } from '../core/waiting.ts';
import type { Log } from '../telemetry/log.ts';
import { RepeatLimit } from '../telemetry/log.ts';
import type { IdToken } from './id-token.ts';
import { requestToken, type TokenRequest } from './request-token.ts';
import type { TokenFile } from './token-file.ts';
import { TokenFileError, type TokenFileErrorCode } from './token-file-error.ts';

interface TokenFileDependencies extends Effects {
  readonly file: Pick<TokenFile, 'path' | 'read' | 'write'>;
  readonly log: Log;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const FIRST_PAUSE = SECOND / 2;
const LONGEST_PAUSE = 30 * SECOND;
/** A refusal lasts until somebody changes something. */
const LONGEST_PAUSE_OF_REFUSAL = 2 * MINUTE;
const LONGEST_RETRY_AFTER = 5 * MINUTE;

/** Of a token's remaining life, when it is renewed: early enough for half of it to be left for failures. */
const RENEWAL = { earliest: 0.4, latest: 0.6 };
const SHORTEST_RENEWAL = 10 * SECOND;
const LONGEST_RENEWAL = 12 * 60 * MINUTE;
/** Timers stand still while a machine is suspended, so the clock is looked at in between. */
const LONGEST_SLEEP = MINUTE;

/**
 * Writes a token to the file once, however long the server takes. Throws a {@link TokenFileError} if the server refuses or
 * the file cannot be written: then it makes no sense to wait.
 */
export async function writeTokenFile(
  request: TokenRequest,
  dependencies: TokenFileDependencies,
): Promise<void> {
  const isFinal = (code: TokenFileErrorCode) => code !== 'token-unavailable';
  await renew(request, dependencies, undefined, isFinal);
}

/**
 * Keeps a token that has not expired in the file, and never returns. A failure leaves the file as it is, and is tried
 * again: the file then has at least 40 % of its token's life left.
 */
export async function keepTokenFile(
  request: TokenRequest,
  dependencies: TokenFileDependencies,
): Promise<never> {
  const { file, now, random } = dependencies;
  let token = await file.read();
  for (;;) {
    if (token !== undefined) await sleepUntil(renewalTime(token, now(), random()), dependencies);
    token = await renew(request, dependencies, token, () => false);
  }
}

/** When to renew a token that is received, or found, now. */
export function renewalTime({ expiresAt }: IdToken, now: number, random: number): number {
  if (expiresAt <= now) return now;
  const part = RENEWAL.earliest + (RENEWAL.latest - RENEWAL.earliest) * random;
  return now + Math.min(LONGEST_RENEWAL, Math.max(SHORTEST_RENEWAL, (expiresAt - now) * part));
}

/** The new token, which is in the file. `old` is the one that is there until then. */
async function renew(
  request: TokenRequest,
  dependencies: TokenFileDependencies,
  old: IdToken | undefined,
  isFinal: (code: TokenFileErrorCode) => boolean,
): Promise<IdToken> {
  const { file, log, now, sleep, random } = dependencies;
  const lines = new RepeatLimit(log, now);
  for (let failures = 1; ; failures++) {
    try {
      const token = await requestToken(request, dependencies);
      await file.write(token);
      log.info({ file: file.path, expiresAt: timeOf(token), failures: failures - 1 }, 'token file written');
      return token;
    } catch (error) {
      if (!(error instanceof TokenFileError) || isFinal(error.code)) throw error;
      const { code, message: reason, remedy, retryAfter } = error;
      const fields = { code, reason, remedy, failures, ...(old !== undefined && { expiresAt: timeOf(old) }) };
      // until it expires, clients notice nothing
      if (old === undefined) lines.warn(code, fields, 'waiting for a token');
      else if (old.expiresAt > now()) lines.warn(code, fields, 'cannot renew the token');
      else lines.error(code, fields, 'cannot renew the token, which has expired');
      const most = code === 'token-refused' ? LONGEST_PAUSE_OF_REFUSAL : LONGEST_PAUSE;
      const pause = backoff(failures, FIRST_PAUSE, most, random);
      await sleep(Math.max(pause, Math.min(retryAfter, LONGEST_RETRY_AFTER)));
    }
  }
}

async function sleepUntil(time: number, { now, sleep }: Pick<Effects, 'now' | 'sleep'>): Promise<void> {
  for (;;) {
    const left = time - now();
    if (left <= 0) return;
    await sleep(Math.min(left, LONGEST_SLEEP));
  }
}

function timeOf({ expiresAt }: IdToken): string {
  return new Date(expiresAt).toISOString();
}
