import { once } from 'node:events';
import { createServer, type Server } from 'node:tls';
import type { Effects } from '../core/effects.ts';
import type { Certificate } from './certificate.ts';
import { HttpConnections, type HttpConnectionsOptions } from './http-connections.ts';

interface TlsListenerOptions
  extends Pick<HttpConnectionsOptions, 'fetch' | 'largestBody' | 'connectionRefused'> {
  /** 0: any. */
  readonly port: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

// An API server opens one for each review that it waits for, and waits for 200 changes at a time by default. If a
// proxy is in front of the API servers (konnectivity, a load balancer), all of them are one peer.
const CONNECTIONS = { all: 1024, onePeer: 256 };

// Milliseconds.
const HANDSHAKE = 10_000;
/** How long API servers may still connect after shutdown begins: until every Node's kube-proxy is updated. */
const DRAIN = 5000;
/** How long requests in progress may take after that; with the drain, below the kubelet's 30 s. */
const LONGEST_STOP = 10_000;

/**
 * HTTPS on one port, with a certificate that can be changed while connections come and go: Bun fixes that of
 * `Bun.serve` when it starts to listen. So the TLS is node:tls', and node:http reads what comes through it. What a
 * client may cost is bounded by {@link HttpConnections}.
 */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #server: Server;
  readonly #connections: HttpConnections;
  #isEnding = false;

  private constructor(options: TlsListenerOptions, certificate: Certificate) {
    this.#options = options;
    const { fetch, largestBody, connectionRefused, effects } = options;
    const isEnding = () => this.#isEnding;
    const connections = new HttpConnections({
      ...{ fetch, largestBody, connectionRefused, isEnding, effects },
      limits: CONNECTIONS,
    });
    this.#connections = connections;
    this.#server = createServer({ ...contextOf(certificate), handshakeTimeout: HANDSHAKE }, (socket) =>
      connections.serve(socket),
    );
    // before the handshake, whose cost is bounded too: node:tls hands out the TLS socket itself
    this.#server.on('connection', (socket) => connections.accept(socket));
    this.#server.on('tlsClientError', (_, socket) => socket.destroy());
  }

  /** Resolves when it listens, on IPv6 and IPv4, or on IPv4 alone if there is no IPv6. Throws if it cannot. */
  static async start(options: TlsListenerOptions, certificate: Certificate): Promise<TlsListener> {
    const listener = new TlsListener(options, certificate);
    try {
      await listener.#listen('::').catch(() => listener.#listen('0.0.0.0'));
      return listener;
    } catch (error) {
      listener.#connections.stop();
      throw error;
    }
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** From now on new connections are shown `certificate`; those that are open go on as they are. */
  change(certificate: Certificate): void {
    this.#server.setSecureContext(contextOf(certificate));
  }

  /** Drains: serves for a moment while clients leave, finishes requests in progress, then stops. */
  async stop(): Promise<void> {
    const { sleep } = this.#options.effects;
    this.#isEnding = true;
    await sleep(DRAIN);
    const late = new AbortController();
    const closed = new Promise((resolve) => this.#server.close(resolve)).finally(() => late.abort());
    this.#connections.endIdle();
    await Promise.race([closed, sleep(LONGEST_STOP, late.signal).catch(() => closed)]);
    this.#connections.stop();
  }

  async #listen(host: string): Promise<void> {
    this.#server.listen({ port: this.#options.port, host });
    // rejects with the 'error' that comes instead
    await once(this.#server, 'listening');
  }
}

function contextOf({ certificate, key }: Certificate) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' } as const;
}
