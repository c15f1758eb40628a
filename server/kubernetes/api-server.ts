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

/** One request, and what RBAC calls it. */
export interface ApiCall {
  readonly verb: 'list' | 'watch' | 'get' | 'create';
  /** As RBAC spells it: `pods`, `serviceaccounts/token`. */
  readonly resource: string;
  readonly path: ApiPath;
  readonly body?: object;
  /** By default `application/json`. */
  readonly accept?: string;
  /** Of an answer that is to be small: one that is longer fails. */
  readonly longestAnswerBytes?: number;
}

/** The `Status` (meta/v1) with which the API server refuses. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** `details.kind`: the resource that the refusal is about. */
  readonly kind: string;
}

/** The API server's refusal, not yet understood: {@link faultOf} makes it a Fault. */
export class ApiRefusal extends Error {
  constructor(
    readonly call: ApiCall,
    readonly status: ApiStatus,
  ) {
    super(`the API server refused to ${call.verb} ${call.resource}: ${status.code} ${status.message}`);
  }
}

/** Requests to one API server: authenticated anew each, limited in time, failing as {@link ApiRefusal} or Fault. */
export class ApiServer {
  constructor(
    private readonly cluster: Cluster,
    private readonly effects: Pick<Effects, 'fetch' | 'sleep'>,
  ) {}

  /** The JSON of the answer. */
  async json(call: ApiCall, signal?: AbortSignal): Promise<unknown> {
    return this.#limited(call, signal, async (limited) => {
      const response = await this.#send(call, limited);
      try {
        return call.longestAnswerBytes === undefined
          ? await response.json()
          : JSON.parse(await boundedText(response, call.longestAnswerBytes));
      } catch (error) {
        limited.throwIfAborted();
        // a parser's message quotes what it read, which may be a token: only the error's name is kept
        throw unavailable(
          call,
          `its answer cannot be read (${error instanceof Error ? error.name : 'error'})`,
        );
      }
    });
  }

  /** The answer as it streams in: its beginning is limited in time, its whole is not. */
  async stream(call: ApiCall, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const connection = new AbortController();
    const close = (by: AbortSignal) =>
      by.addEventListener('abort', () => connection.abort(by.reason), { once: true });
    close(signal);
    const response = await this.#limited(call, signal, (limited) => {
      close(limited);
      return this.#send(call, connection.signal);
    });
    if (response.body === null) throw unavailable(call, 'its answer has no body');
    return response.body;
  }

  async #limited<T>(
    call: ApiCall,
    signal: AbortSignal | undefined,
    work: (limited: AbortSignal) => Promise<T>,
  ) {
    const late = () => unavailable(call, `no answer in ${TIME_LIMIT_MILLISECONDS / 1000} s`);
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
      redirect: 'manual', // the API server has none, and credentials go nowhere else
      signal,
      // A watch is silent for minutes; whoever reads it watches over that, and every other request has its limit.
      timeout: false,
    });
    if (response.ok) return response;
    throw new ApiRefusal(call, await readStatus(response));
  }
}

/** What a refusal means where the call has no meaning of its own for it. */
export function faultOf({ call, status, message }: ApiRefusal): Fault {
  const { verb, resource } = call;
  if (status.code === 403) {
    return new Fault('kubernetes-forbidden', message, {
      remedy: `Let this program's ServiceAccount ${verb} ${resource} (RBAC), and see that no admission policy denies it.`,
    });
  }
  if (status.code === 401) {
    return new Fault('kubernetes-unavailable', message, {
      remedy: 'The API server does not know these credentials: check the mounted token, or the kubeconfig.',
    });
  }
  if (status.code === 429 || status.code >= 500) {
    return new Fault('kubernetes-unavailable', message, {
      remedy: 'It is tried again; check the API server.',
    });
  }
  if (status.code >= 400 && status.reason !== '') {
    return new Fault('kubernetes-forbidden', message, {
      remedy: 'The API server does not take this request: check that its version is a supported one.',
    });
  }
  return new Fault('kubernetes-unavailable', message, {
    remedy: 'Check that the configured server is a Kubernetes API server, and what stands before it.',
  });
}

/** A Status object: the body of a refusal, or the object of a watch's ERROR event. */
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
    // Not from an API server, or cut off: the HTTP status is all there is to say.
    return { code: response.status, reason: '', message: 'no Status in the answer', kind: '' };
  }
}

/** Throws where it is longer. */
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
  return new Fault('kubernetes-unavailable', `the API server could not ${verb} ${resource}: ${why}`, {
    remedy: 'Check that the API server runs and can be reached from this Node.',
    cause,
  });
}

/**
 * One object by its name, or undefined where there is none. `kind` is what its fields are called in messages.
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
    // the reason tells an API server's 404 from that of something before it
    if (error.status.code === 404 && error.status.reason === 'NotFound') return undefined;
    throw faultOf(error);
  }
}
