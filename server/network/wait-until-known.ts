import type { Effects } from '../core/effects.ts';
import { backoff } from '../core/waiting.ts';
import type { Log } from '../telemetry/log.ts';
import { InitNetworkError } from './init-network-error.ts';
import { askServer, obstacleToIdentity, type ServerEndpoint } from './node-server.ts';

export interface WaitDependencies extends Pick<Effects, 'fetch' | 'now' | 'sleep' | 'random'> {
  readonly log: Log;
}

const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 2000;
const PROGRESS_MILLISECONDS = { changed: 5000, same: 30_000 };
/** The first token: not waited for longer, and nothing of it is read. */
const FIRST_TOKEN = { path: 'service-accounts/default/token', longestBytes: 0, seconds: 1 };

/**
 * Returns once the metadata server responds and knows this Pod by its UID. By then the first token is being fetched.
 * Throws `server-not-ready` after the timeout, with what was seen last and what to check.
 */
export async function waitUntilKnown(
  endpoint: ServerEndpoint,
  podUID: string,
  timeoutSeconds: number,
  dependencies: WaitDependencies,
): Promise<void> {
  const { log, now, sleep, random } = dependencies;
  const startedAt = now();
  const endsAt = startedAt + timeoutSeconds * 1000;
  let reported = { seen: '', at: Number.NEGATIVE_INFINITY };
  for (let failures = 1; ; failures++) {
    const obstacle = await obstacleToIdentity(endpoint, podUID, dependencies);
    if (obstacle === undefined) break;
    const time = now();
    const pause = backoff(failures, FIRST_PAUSE_MILLISECONDS, LONGEST_PAUSE_MILLISECONDS, random);
    if (time + pause >= endsAt) {
      throw new InitNetworkError(
        'server-not-ready',
        `the metadata server was not ready for this Pod within ${timeoutSeconds} s: ${obstacle.seen}`,
        obstacle.remedy,
      );
    }
    const isNew = obstacle.seen !== reported.seen;
    if (time - reported.at >= (isNew ? PROGRESS_MILLISECONDS.changed : PROGRESS_MILLISECONDS.same)) {
      reported = { seen: obstacle.seen, at: time };
      log.info(
        { seen: obstacle.seen, waitedSeconds: Math.round((time - startedAt) / 1000) },
        'waiting for the metadata server',
      );
    }
    await sleep(pause);
  }
  await startFirstToken(endpoint, dependencies);
  log.info({ waitedSeconds: Math.round((now() - startedAt) / 1000) }, 'the metadata server knows this Pod');
}

/**
 * Asks for a token, which the server then has cached before the application asks. The response is never read, and a
 * failure is not an obstacle: a Pod that may not have tokens starts, as on GKE.
 */
async function startFirstToken(endpoint: ServerEndpoint, dependencies: WaitDependencies): Promise<void> {
  const response = await askServer(endpoint, FIRST_TOKEN, dependencies);
  const outcome = 'seen' in response ? { reason: response.seen } : { status: response.status };
  dependencies.log.info(outcome, 'first token');
}
