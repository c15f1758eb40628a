import type { V1Status } from '@kubernetes/client-node';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { withTimeLimit } from '../core/waiting.ts';
import type { ApiPath } from './api-path.ts';
import type { Cluster } from './cluster.ts';
import { Field } from './field.ts';

/** Within the patience of metadata clients, which is 3 s to a minute, and far above what an API server takes. */
const TIME_LIMIT_MILLISECONDS = 10_000;
const LONGEST_ERROR_BYTES = 64 * 1024;
const LONGEST_MESSAGE = 300;

/** One request, in the terms of RBAC. */
export interface ApiCall {
  readonly verb: 'list' | 'watch' | 'get' | 'create';
  /** As RBAC spells it: `pods`, `serviceaccounts/token`. */
  readonly resource: string;
  readonly path: ApiPath;
  readonly body?: object;
  /** By default `application/json`. */
  readonly accept?: string;
  /** Maximum size of the response; a longer one fails. */
  readonly longestResponseBytes?: number;
}

/** The `Status` (meta/v1) of a failed request. */
export interface ApiStatus extends Readonly<Required<Pick<V1Status, 'code' | 'reason' | 'message'>>> {
  /** `details.kind`: the resource that the error is about. */
  readonly kind: string;
}

/** A failed request, with the API server's Status; {@link faultOf} turns it into a Fault. */
export class ApiRefusal extends Error {
  constructor(
    readonly call: ApiCall,
    readonly status: ApiStatus,
  ) {
    super(`cannot ${call.verb} ${call.resource}: ${status.code} ${status.message}`);
  }
}

/** Requests to one API server. Each is authenticated again and has a deadline; it fails as {@link ApiRefusal} or Fault. */
export class ApiServer {
  constructor(
    private readonly cluster: Cluster,
    private readonly effects: Pick<Effects, 'fetch' | 'sleep'>,
  ) {}

  /** The response as JSON. */
  async json(call: ApiCall, signal?: AbortSignal): Promise<unknown> {
    return this.#limited(call, signal, async (limited) => {
      const response = await this.#send(call, limited);
      try {
        return call.longestResponseBytes === undefined
          ? await response.json()
          : JSON.parse(await boundedText(response, call.longestResponseBytes));
      } catch (error) {
        limited.throwIfAborted();
        // a parser's message quotes its input, which may be a token: keep only the error's name
        throw unavailable(
          call,
          `cannot parse the response (${error instanceof Error ? error.name : 'error'})`,
        );
      }
    });
  }

  /** The response as a stream. Only its headers have a deadline. */
  async stream(call: ApiCall, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const connection = new AbortController();
    const close = (by: AbortSignal) =>
      by.addEventListener('abort', () => connection.abort(by.reason), { once: true });
    close(signal);
    const response = await this.#limited(call, signal, (limited) => {
      close(limited);
      return this.#send(call, connection.signal);
    });
    if (response.body === null) throw unavailable(call, 'the response has no body');
    return response.body;
  }

  async #limited<T>(
    call: ApiCall,
    signal: AbortSignal | undefined,
    work: (limited: AbortSignal) => Promise<T>,
  ) {
    const late = () => unavailable(call, `no response within ${TIME_LIMIT_MILLISECONDS / 1000} s`);
    try {
      return await withTimeLimit(this.effects.sleep, TIME_LIMIT_MILLISECONDS, late, signal, work);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Fault || error instanceof ApiRefusal) throw error;
      throw unavailable(call, error instanceof Error ? error.message : String(error), error);
    }
  }

  async #send(call: ApiCall, signal: AbortSignal): Promise<Response> {
    const { headers, tls, proxy } = await this.cluster.authenticate();
    const response = await this.effects.fetch(this.cluster.server + call.path, {
      method: call.body === undefined ? 'GET' : 'POST',
      headers: {
        ...headers,
        accept: call.accept ?? 'application/json',
        'user-agent': 'gke-metadata-server',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(proxy === undefined ? {} : { proxy }),
      tls,
      redirect: 'manual', // the API server never redirects, and credentials must not go elsewhere
      signal,
      // A watch is silent for minutes and its reader limits that; every other request has its deadline.
      timeout: false,
    });
    if (response.ok) return response;
    throw new ApiRefusal(call, await readStatus(response));
  }
}

/** What a failed request means, unless the call gives it a meaning of its own. */
export function faultOf({ call, status, message }: ApiRefusal): Fault {
  const { verb, resource } = call;
  if (status.code === 403) {
    return new Fault('kubernetes-forbidden', message, {
      remedy: `Grant this program's ServiceAccount ${verb} on ${resource} (RBAC), and check that no admission policy denies it.`,
    });
  }
  if (status.code === 401) {
    return new Fault('kubernetes-unavailable', message, {
      remedy: 'The API server did not accept the credentials. Check the mounted token, or the kubeconfig.',
    });
  }
  if (status.code === 429 || status.code >= 500) {
    return new Fault('kubernetes-unavailable', message, {
      remedy: 'The request will be retried. Check the API server.',
    });
  }
  if (status.code >= 400 && status.reason !== '') {
    return new Fault('kubernetes-forbidden', message, {
      remedy: 'The API server does not support this request. Check that its version is supported.',
    });
  }
  return new Fault('kubernetes-unavailable', message, {
    remedy: 'Check that the configured server is a Kubernetes API server, and any proxy in front of it.',
  });
}

/** A Status object: the body of an error response, or the object of a watch's ERROR event. */
export function parseStatus(status: Field, httpStatus: number): ApiStatus {
  return {
    code: status.at('code').numberOr(httpStatus),
    reason: status.at('reason').textOr(''),
    message: status.at('message').textOr('no message').slice(0, LONGEST_MESSAGE),
    kind: status.at('details').at('kind').textOr(''),
  };
}

async function readStatus(response: Response): Promise<ApiStatus> {
  try {
    const status: unknown = JSON.parse(await boundedText(response, LONGEST_ERROR_BYTES));
    return { ...parseStatus(new Field(status, 'Status'), 0), code: response.status };
  } catch {
    // not from an API server, or cut off: only the HTTP status is known
    return { code: response.status, reason: '', message: 'the response has no Status', kind: '' };
  }
}

/** Throws a RangeError if it is longer. */
async function boundedText(response: Response, longestBytes: number): Promise<string> {
  const bytes = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > longestBytes) throw new RangeError(`longer than ${longestBytes} bytes`);
    bytes.push(chunk);
  }
  return Buffer.concat(bytes).toString();
}

function unavailable({ verb, resource }: ApiCall, why: string, cause?: unknown): Fault {
  return new Fault('kubernetes-unavailable', `cannot ${verb} ${resource}: ${why}`, {
    remedy: 'Check that the API server is running and reachable from this Node.',
    cause,
  });
}

/**
 * One object by name, or undefined if it does not exist. `kind` prefixes its fields in messages.
 * Throws `kubernetes-unavailable` or `kubernetes-forbidden`.
 */
export async function getObject<T>(
  server: Pick<ApiServer, 'json'>,
  call: Omit<ApiCall, 'verb' | 'body'>,
  kind: string,
  parse: (object: Field) => T,
  signal?: AbortSignal,
): Promise<T | undefined> {
  try {
    return parse(new Field(await server.json({ verb: 'get', ...call }, signal), kind));
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    // the reason tells an API server's 404 from that of a proxy
    if (error.status.code === 404 && error.status.reason === 'NotFound') return undefined;
    throw faultOf(error);
  }
}
