import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Sleep } from '../core/effects.ts';

/** The connection is cut instead of getting a response. */
export const RESET = Symbol('reset');

/** PEM: what a TLS server shows, and the key to it. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
}

interface ListenerOptions {
  readonly hostname: string;
  /** If set, https instead of http. */
  readonly tls?: TlsIdentity | undefined;
  /** 0: one that the system picks on the first start, kept from then on. */
  readonly port: number;
  /**
   * `request.signal` is aborted when the client leaves. A body is sent as a stream if `transfer-encoding` is
   * chunked, and whole otherwise; a body that fails cuts the connection.
   */
  readonly handle: (request: Request) => Promise<Response | typeof RESET>;
}

// the longest body that clients of the stand-ins send is an STS form with its token
const MAX_BODY_BYTES = 64 * 1024;

/**
 * An HTTP listener that can stop and start again on its own port, like a server that restarts.
 * It uses node:http because Bun.serve holds back the headers of a stream until its first byte, and a client must see
 * that a watch without events has begun.
 */
export class Listener {
  readonly #options: ListenerOptions;
  #port: number;
  #server: Server | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  /** Without a trailing slash; known from the first start on, even while stopped. */
  get url(): string {
    if (this.#port === 0) throw new Error('The stand-in has no address before its first start()');
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://${this.#options.hostname}:${this.#port}`;
  }

  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const serve = (incoming: IncomingMessage, outgoing: ServerResponse) =>
      void this.#serve(incoming, outgoing);
    const { tls } = this.#options;
    const server: Server =
      tls === undefined
        ? createServer(serve)
        : createTlsServer({ cert: tls.certificate, key: tls.key }, serve);
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, this.#options.hostname, resolve);
    });
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Closes the port and cuts every connection. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const left = new AbortController();
    outgoing.once('close', () => left.abort());
    try {
      const response = await this.#respond(incoming, left.signal);
      if (response === RESET) outgoing.destroy();
      else await send(response, outgoing, left.signal);
    } catch {
      // the client left while sending its body, or the stream of the response was dropped
      outgoing.destroy();
    }
  }

  async #respond(incoming: IncomingMessage, left: AbortSignal): Promise<Response | typeof RESET> {
    const body = await readBody(incoming);
    if (body === undefined) return new Response('The body is too long.\n', { status: 413 });
    try {
      return await this.#options.handle(toRequest(this.url, incoming, body, left));
    } catch (error) {
      // a bug of the stand-in itself: whoever runs the test or the demo wants to know
      return new Response(`The stand-in failed: ${error}\n`, { status: 500 });
    }
  }
}

/** Undefined if it is longer than any client sends. */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toRequest(url: string, incoming: IncomingMessage, body: Buffer, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return new Request(`${url}${incoming.url ?? '/'}`, {
    method: incoming.method ?? 'GET',
    headers,
    signal,
    ...(body.length > 0 && { body: new Uint8Array(body) }),
  });
}

async function send(response: Response, outgoing: ServerResponse, left: AbortSignal): Promise<void> {
  const headers = Object.fromEntries(response.headers);
  if (response.body === null || headers['transfer-encoding'] !== 'chunked') {
    const body = await response.bytes();
    outgoing.writeHead(response.status, { ...headers, 'content-length': `${body.byteLength}` }).end(body);
    return;
  }
  outgoing.writeHead(response.status, headers);
  outgoing.flushHeaders();
  const reader = response.body.getReader();
  // a stream that has failed can no longer be cancelled
  left.addEventListener('abort', () => void reader.cancel().catch(() => undefined));
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    outgoing.write(value);
  }
  outgoing.end();
}

/** An HTTP status, no response at all, or a connection that is cut before the response. */
type Failure = number | 'hang' | 'reset';

/** Makes one part of a stand-in slow or faulty, for a person or a test. */
export class FaultSwitch {
  /** Each call is delayed by this long. */
  delayMilliseconds = 0;
  #failure: Failure | undefined;
  #remaining = 0;
  readonly #hanging = new Set<() => void>();

  /** The next `times` calls fail this way; by default all of them, until {@link heal}. */
  failWith(failure: Failure, times = Number.POSITIVE_INFINITY): void {
    this.#failure = failure;
    this.#remaining = times;
  }

  /** Calls succeed again; those that hang continue as if nothing had happened. */
  heal(): void {
    this.#failure = undefined;
    this.#remaining = 0;
    for (const release of [...this.#hanging]) release();
  }

  /** The failure to respond with, or undefined if the call is to be served. */
  async intercept(
    request: Request,
    sleep: Sleep,
    refusal: (status: number) => Response,
  ): Promise<Response | typeof RESET | undefined> {
    if (this.delayMilliseconds > 0) await sleep(this.delayMilliseconds);
    if (this.#failure === undefined || this.#remaining <= 0) return undefined;
    this.#remaining -= 1;
    if (this.#failure === 'reset') return RESET;
    if (typeof this.#failure === 'number') return refusal(this.#failure);
    await new Promise<void>((resolve) => {
      const release = () => {
        this.#hanging.delete(release);
        resolve();
      };
      this.#hanging.add(release);
      request.signal.addEventListener('abort', release, { once: true });
    });
    return request.signal.aborted ? RESET : undefined;
  }
}
