import { once } from 'node:events';
import { connect } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Server } from 'bun';
import type { Sleep } from '../core/effects.ts';
import type { Certificate } from './certificate.ts';

export interface TlsListenerOptions {
  /** 0: any. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly sleep: Sleep;
}

// An API server keeps some dozens; the rest is for whoever else can connect.
const MOST_CONNECTIONS = 1000;
const HANDSHAKE_MILLISECONDS = 10_000;
// Above the 90 s after which an API server itself closes a silent connection, so that it never sends a review into
// one that is just being closed here.
const IDLE_SECONDS = 120;
// How long API servers may go on connecting after the end of this Pod is known: until every Node's kube-proxy has it.
const DRAIN_MILLISECONDS = 5000;
// How long answers under way may take after that; with the drain, below the kubelet's 30 s.
const LONGEST_STOP_MILLISECONDS = 10_000;

/**
 * HTTPS on one port, with a certificate that can be changed while connections come and go. Bun fixes the certificate
 * of `Bun.serve` when it starts to listen, and a second listener in the place of the first loses connections between
 * the two. So TLS ends here, in a socket server whose certificate is only looked at by new handshakes, and what was
 * in it goes on to a `Bun.serve` behind a socket that no other Pod can reach.
 */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #front: TlsServer;
  readonly #inner: Server<undefined>;
  readonly #open = new Set<TLSSocket>();
  #ending = false;

  private constructor(options: TlsListenerOptions, certificate: Certificate) {
    this.#options = options;
    // an abstract socket needs no file system to write to
    const path = `\0gke-metadata-server-webhook-${crypto.randomUUID()}`;
    const inner = {
      unix: path,
      development: false,
      idleTimeout: 0, // the front's is the one
      fetch: (request: Request) => this.#respond(request),
    };
    // Bun's type forgets that a listener on such a socket has an idleTimeout too, of 10 s by default
    this.#inner = Bun.serve(inner as unknown as Bun.Serve.Options<undefined>);
    this.#front = createServer(
      { ...contextOf(certificate), handshakeTimeout: HANDSHAKE_MILLISECONDS },
      (socket) => this.#forward(socket, path),
    );
    this.#front.maxConnections = MOST_CONNECTIONS;
    this.#front.on('tlsClientError', (_, socket) => socket.destroy());
  }

  /** Resolves when it listens, on IPv6 and IPv4, or on IPv4 alone where there is no IPv6. Throws where it cannot. */
  static async start(options: TlsListenerOptions, certificate: Certificate): Promise<TlsListener> {
    const listener = new TlsListener(options, certificate);
    try {
      await listener.#listen('::').catch(() => listener.#listen('0.0.0.0'));
      return listener;
    } catch (error) {
      await listener.#inner.stop(true);
      throw error;
    }
  }

  get port(): number {
    const address = this.#front.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** From now on new connections are shown `certificate`; those that are open go on as they are. */
  change(certificate: Certificate): void {
    this.#front.setSecureContext(contextOf(certificate));
  }

  /** Goes on for a moment while clients leave, answers what is under way, then ends. */
  async stop(): Promise<void> {
    const { sleep } = this.#options;
    this.#ending = true;
    await sleep(DRAIN_MILLISECONDS);
    const closed = new Promise((resolve) => this.#front.close(resolve));
    const late = new AbortController();
    // the last bytes of an answer are still on their way out when the server behind has ended
    const stopped = Promise.all([this.#inner.stop(), closed]).finally(() => late.abort());
    await Promise.race([stopped, sleep(LONGEST_STOP_MILLISECONDS, late.signal).catch(() => stopped)]);
    await this.#inner.stop(true);
    for (const socket of this.#open) socket.destroy();
  }

  async #listen(host: string): Promise<void> {
    this.#front.listen({ port: this.#options.port, host });
    // rejects with the 'error' that comes instead
    await once(this.#front, 'listening');
  }

  async #respond(request: Request): Promise<Response> {
    const response = await this.#options.fetch(request);
    if (this.#ending) response.headers.set('connection', 'close');
    return response;
  }

  #forward(outer: TLSSocket, path: string): void {
    const inner = connect({ path });
    this.#open.add(outer);
    outer.setTimeout(IDLE_SECONDS * 1000, () => outer.destroy());
    outer.on('error', () => inner.destroy());
    outer.on('close', () => {
      this.#open.delete(outer);
      inner.destroy();
    });
    inner.on('error', () => outer.destroy());
    inner.on('close', () => outer.end());
    outer.pipe(inner).pipe(outer);
  }
}

function contextOf({ certificate, key }: Certificate) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' } as const;
}
