import type { Effects } from '../core/effects.ts';
import { METADATA_ADDRESS } from '../core/metadata-address.ts';
import { backoff, withTimeLimit } from '../core/waiting.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Log } from '../telemetry/log.ts';
import { InitNetworkError } from './init-network-error.ts';
import { type Redirect, targetOf, urlHost } from './redirect-rules.ts';

/** How a Pod asks the metadata server of its Node. */
export interface ServerEndpoint {
  /** For the URL: an address, with a port unless it is 80. */
  readonly authority: string;
  /** Where that leads, as `ADDRESS:PORT`. */
  readonly server: string;
}

/** By the metadata address, through a redirect. */
export function redirectedEndpoint(redirect: Redirect): ServerEndpoint {
  return { authority: urlHost(METADATA_ADDRESS[redirect.family]), server: targetOf(redirect) };
}

/** By the Node's first address, `status.hostIP`, as clients that read environment variables do. */
export function nodeEndpoint(node: {
  readonly hostAddresses: readonly IPAddress[];
  readonly serverPort: number;
}): ServerEndpoint {
  const [address = ''] = node.hostAddresses;
  const server = `${urlHost(address)}:${node.serverPort}`;
  return { authority: server, server };
}

export interface WaitDependencies extends Pick<Effects, 'fetch' | 'now' | 'sleep' | 'random'> {
  readonly log: Log;
}

/** What keeps the Pod from its identity, as the log and the error name it. */
interface Obstacle {
  readonly seen: string;
  readonly remedy: string;
}

const FLAVOR = { 'metadata-flavor': 'Google' };

// the server itself holds a request of an unknown Pod for a moment, waiting for its watch
const ATTEMPT_MILLISECONDS = 5000;
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 2000;
const PROGRESS_MILLISECONDS = { changed: 5000, same: 30_000 };
const FIRST_TOKEN_MILLISECONDS = 1000;

/**
 * Returns once the metadata server responds and knows this Pod by its UID: until the API server reports the change,
 * the server may take it for the previous Pod with its IP. By then the first token is being fetched. Throws
 * `server-not-ready` after the timeout, with what was seen last and what to check.
 */
export async function waitUntilKnown(
  { authority, server }: ServerEndpoint,
  podUID: string,
  timeoutSeconds: number,
  dependencies: WaitDependencies,
): Promise<void> {
  const { log, now, sleep, random } = dependencies;
  const instance = `http://${authority}/computeMetadata/v1/instance`;
  const startedAt = now();
  const endsAt = startedAt + timeoutSeconds * 1000;
  let reported = { seen: '', at: Number.NEGATIVE_INFINITY };
  for (let failures = 1; ; failures++) {
    const obstacle = await attempt(`${instance}/pod-uid`, podUID, server, dependencies);
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
  await startFirstToken(`${instance}/service-accounts/default/token`, dependencies);
  log.info({ waitedSeconds: Math.round((now() - startedAt) / 1000) }, 'the metadata server knows this Pod');
}

/** Undefined if the server knows this Pod. */
async function attempt(
  url: string,
  podUID: string,
  server: string,
  dependencies: WaitDependencies,
): Promise<Obstacle | undefined> {
  try {
    return await within(ATTEMPT_MILLISECONDS, dependencies, async (signal) => {
      const response = await dependencies.fetch(url, { headers: FLAVOR, redirect: 'manual', signal });
      const words = (await response.text()).slice(0, 300).trim();
      return obstacleOf(response, words, podUID, server);
    });
  } catch (error) {
    return unreachable(error, server);
  }
}

function obstacleOf(response: Response, words: string, podUID: string, server: string): Obstacle | undefined {
  const { status, headers } = response;
  if (headers.get('metadata-flavor') !== 'Google') {
    return {
      seen: `something other than a metadata server responded with ${status}`,
      remedy:
        'Check for a proxy or a service mesh that intercepts connections to ' +
        `${server} or to the metadata address before the redirect does, and exclude both there.`,
    };
  }
  if (status === 200 && words !== podUID) {
    return {
      seen: `the server still takes this Pod for the previous Pod with its IP (UID ${words})`,
      remedy:
        "Check whether the server and this Node's kubelet reach the Kubernetes API, and whether two Pods have this IP " +
        '(kubectl get pods -A -o wide).',
    };
  }
  // 503 if the address may be a Pod's that is not reported yet, as the server words it
  if (status === 404 || (status === 503 && words.includes('source IP'))) {
    return {
      seen: `the server does not know this Pod (${status}: ${words})`,
      remedy:
        "The server knows a Pod by its connection's source IP. Check whether the CNI masquerades connections of Pods " +
        "to their own Node, and whether the kubelet has reported this Pod's status.podIPs (kubectl get pod -o wide).",
    };
  }
  if (status >= 500 || status === 429) {
    return {
      seen: `the server is not ready (${status}: ${words})`,
      remedy: `Check the log and /readyz of the server at ${server}: usually it cannot reach the Kubernetes API.`,
    };
  }
  // any other 4xx is about the Pod's ServiceAccount: the application sees it, as on GKE
  return undefined;
}

function unreachable(error: unknown, server: string): Obstacle {
  if (error instanceof AttemptTimeout) {
    return {
      seen: `no answer from ${server} within ${ATTEMPT_MILLISECONDS / 1000} s`,
      remedy:
        `Check whether a NetworkPolicy in this Namespace or the Node's firewall keeps this Pod from TCP ${server}, ` +
        'and whether the metadata server runs on this Node.',
    };
  }
  // fetch throws nothing but Errors
  const { code = '', message } = error as Error & { code?: string };
  return {
    seen: `cannot connect to ${server} (${code || message})`,
    remedy:
      `Check whether the metadata server runs on this Node (kubectl get pods -A -o wide --field-selector ` +
      `spec.nodeName=NODE), listens on ${server}, and is not blocked by a NetworkPolicy or a firewall that rejects.`,
  };
}

/**
 * Asks for a token, which the server then has cached before the application asks. The response is never read, and a
 * failure is not an obstacle: a Pod that may not have tokens starts, as on GKE.
 */
async function startFirstToken(url: string, dependencies: WaitDependencies): Promise<void> {
  try {
    const status = await within(FIRST_TOKEN_MILLISECONDS, dependencies, async (signal) => {
      const response = await dependencies.fetch(url, { headers: FLAVOR, redirect: 'manual', signal });
      await response.body?.cancel();
      return response.status;
    });
    dependencies.log.info({ status }, 'first token');
  } catch (error) {
    const reason = error instanceof AttemptTimeout ? 'still being fetched' : String(error);
    dependencies.log.info({ reason }, 'first token');
  }
}

class AttemptTimeout extends Error {}

function within<T>(
  milliseconds: number,
  { sleep }: WaitDependencies,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withTimeLimit(sleep, milliseconds, () => new AttemptTimeout(), undefined, work);
}
