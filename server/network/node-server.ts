import type { Effects } from '../core/effects.ts';
import { METADATA_ADDRESS } from '../core/metadata-address.ts';
import { withTimeLimit } from '../core/waiting.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';
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

/** What keeps the Pod from its identity, as the log and the error name it. */
export interface Obstacle {
  readonly seen: string;
  readonly remedy: string;
}

/** A response of a metadata server. */
interface ServerResponse {
  readonly status: number;
  readonly text: string;
  /** Seconds: the `Retry-After`, if there is one. */
  readonly retryAfter: number | undefined;
}

const FLAVOR = { 'metadata-flavor': 'Google' };
const LONGEST_WORDS = 300;

/** Under this path are all facts about the Pod. */
const INSTANCE = '/computeMetadata/v1/instance';

// the server itself holds a request of an unknown Pod for a moment, waiting for its watch
const KNOWN_SECONDS = 5;

interface Question {
  /** Below `/computeMetadata/v1/instance/`, with its query. */
  readonly path: string;
  readonly longestBytes: number;
  readonly seconds: number;
}

/** What the server responds, or what keeps it from that. */
export async function askServer(
  { authority, server }: ServerEndpoint,
  { path, longestBytes, seconds }: Question,
  { fetch, sleep }: Pick<Effects, 'fetch' | 'sleep'>,
): Promise<ServerResponse | Obstacle> {
  const url = `http://${authority}${INSTANCE}/${path}`;
  try {
    return await withTimeLimit(
      sleep,
      seconds * 1000,
      () => new NoResponse(),
      undefined,
      async (signal) => {
        const response = await fetch(url, { headers: FLAVOR, redirect: 'manual', signal });
        if (response.headers.get('metadata-flavor') !== 'Google') {
          await response.body?.cancel();
          return intercepted(response.status, server);
        }
        const text = await firstBytes(response, longestBytes);
        return { status: response.status, text, retryAfter: retryAfterOf(response) };
      },
    );
  } catch (error) {
    return unreachable(error, server, seconds);
  }
}

/**
 * What keeps the server from knowing this Pod by its UID; undefined if nothing does. Until the API server reports the
 * change, the server may take it for the previous Pod with its IP.
 */
export async function obstacleToIdentity(
  endpoint: ServerEndpoint,
  podUID: string,
  effects: Pick<Effects, 'fetch' | 'sleep'>,
): Promise<Obstacle | undefined> {
  const question = { path: 'pod-uid', longestBytes: LONGEST_WORDS, seconds: KNOWN_SECONDS };
  const response = await askServer(endpoint, question, effects);
  if ('seen' in response) return response;
  const { status } = response;
  const words = response.text.trim();
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
  // any other 4xx is about the Pod's ServiceAccount: the application sees it, as on GKE
  return status >= 500 || status === 429 ? notReady(status, words, endpoint) : undefined;
}

/** What a response says that may be another one if it is asked again. */
export function notReady(status: number, words: string, { server }: ServerEndpoint): Obstacle {
  return {
    seen: `the server is not ready (${status}: ${words})`,
    remedy: `Check the log and /readyz of the server at ${server}: usually it cannot reach the Kubernetes API.`,
  };
}

function intercepted(status: number, server: string): Obstacle {
  return {
    seen: `something other than a metadata server responded with ${status}`,
    remedy:
      'Check for a proxy or a service mesh that intercepts connections to ' +
      `${server} or to the metadata address before the redirect does, and exclude both there.`,
  };
}

function unreachable(error: unknown, server: string, seconds: number): Obstacle {
  if (error instanceof NoResponse) {
    return {
      seen: `no answer from ${server} within ${seconds} s`,
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

class NoResponse extends Error {}

/** The first bytes of a body as text; the rest is not read. */
async function firstBytes(response: Response, longest: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (longest === 0) {
    await response.body?.cancel();
    return '';
  }
  // leaving the loop cancels the body
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length >= longest) break;
  }
  return Buffer.concat(chunks).subarray(0, longest).toString();
}

function retryAfterOf({ headers }: Response): number | undefined {
  const value = headers.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}
