import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Effects } from '../core/effects.ts';
import { BodyBudget } from './body-budget.ts';
import type { Certificate } from './certificate.ts';
import { OpenConnections } from './open-connections.ts';
import { LARGEST_HEAD } from './request-gate.ts';
import { TlsConnection, type TlsConnectionOptions } from './tls-connection.ts';

export interface TlsListenerOptions extends Pick<TlsConnectionOptions, 'fetch' | 'largestBody'> {
  /** 0: any. */
  readonly port: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

// An API server opens one for each review that it waits for, and waits for 200 changes at a time by default. If a
// proxy is in front of the API servers (konnectivity, a load balancer), all of them are one peer.
const CONNECTIONS = { all: 1024, onePeer: 256 };

// Milliseconds.
const HANDSHAKE = 10_000;
/** How often deadlines are looked at. */
const SWEEP = 1000;
/** How long API servers may go on connecting once this Pod is ending: until every Node's kube-proxy has it. */
const DRAIN = 5000;
/** How long answers under way may take after that; with the drain, below the kubelet's 30 s. */
const LONGEST_STOP = 10_000;

/**
 * HTTPS on one port, with a certificate that can be changed while connections come and go: Bun fixes that of
 * `Bun.serve` when it starts to listen. So the TLS is node:tls', and node:http reads what comes through it. What a
 * client may cost is bounded, for one address and for all: {@link OpenConnections}, {@link TlsConnection},
 * {@link BodyBudget}.
 */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #tls: TlsServer;
  readonly #http: HttpServer;
  readonly #bodies = new BodyBudget();
  readonly #open = new OpenConnections<TlsConnection>(CONNECTIONS);
  readonly #connections = new WeakMap<object, TlsConnection>();
  readonly #stopped = new AbortController();
  #isEnding = false;

  private constructor(options: TlsListenerOptions, certificate: Certificate) {
    this.#options = options;
    this.#http = createHttpServer(
      { maxHeaderSize: LARGEST_HEAD, keepAliveTimeout: 0 },
      (request, response) => {
        this.#connections
          .get(request.socket)
          ?.answer(request, response)
          .catch(() => request.socket.destroy());
      },
    );
    this.#http.on('clientError', (_, gate) => this.#connections.get(gate)?.refuse('400 Bad Request'));
    this.#tls = createServer({ ...contextOf(certificate), handshakeTimeout: HANDSHAKE }, (socket) =>
      this.#serve(socket),
    );
    // before the handshake, whose cost is bounded too
    this.#tls.on('connection', (socket) => this.#accept(socket));
    this.#tls.on('tlsClientError', (_, socket) => socket.destroy());
  }

  /** Resolves when it listens, on IPv6 and IPv4, or on IPv4 alone if there is no IPv6. Throws if it cannot. */
  static async start(options: TlsListenerOptions, certificate: Certificate): Promise<TlsListener> {
    const listener = new TlsListener(options, certificate);
    await listener.#listen('::').catch(() => listener.#listen('0.0.0.0'));
    listener.#sweep();
    return listener;
  }

  get port(): number {
    const address = this.#tls.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** From now on new connections are shown `certificate`; those that are open go on as they are. */
  change(certificate: Certificate): void {
    this.#tls.setSecureContext(contextOf(certificate));
  }

  /** Goes on for a moment while clients leave, answers what is under way, then ends. */
  async stop(): Promise<void> {
    const { sleep } = this.#options.effects;
    this.#isEnding = true;
    await sleep(DRAIN);
    const late = new AbortController();
    const closed = new Promise((resolve) => this.#tls.close(resolve)).finally(() => late.abort());
    for (const connection of this.#open) connection.endIfIdle();
    await Promise.race([closed, sleep(LONGEST_STOP, late.signal).catch(() => closed)]);
    this.#stopped.abort();
    for (const connection of this.#open) connection.destroy();
  }

  async #listen(host: string): Promise<void> {
    this.#tls.listen({ port: this.#options.port, host });
    // rejects with the 'error' that comes instead
    await once(this.#tls, 'listening');
  }

  #accept(socket: Socket): void {
    const peer = socket.remoteAddress ?? ''; // none if it has gone already
    const { fetch, largestBody, effects } = this.#options;
    // node:tls hands out the TLS socket itself, its handshake still to come
    const connection = new TlsConnection(peer, socket as TLSSocket, {
      fetch,
      largestBody,
      bodies: this.#bodies,
      isEnding: () => this.#isEnding,
      now: effects.now,
    });
    if (!this.#open.add(peer, connection)) {
      connection.destroy();
      return;
    }
    this.#connections.set(socket, connection);
    socket.on('close', () => this.#open.remove(peer, connection));
  }

  /** After the handshake. */
  #serve(socket: TLSSocket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    const gate = connection.open();
    this.#connections.set(gate, connection);
    this.#http.emit('connection', gate);
  }

  /** Ends connections that are late, each second until the listener has stopped. */
  async #sweep(): Promise<void> {
    const { sleep } = this.#options.effects;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await sleep(SWEEP, signal).catch(() => {});
      for (const connection of this.#open) connection.destroyIfLate();
    }
  }
}

function contextOf({ certificate, key }: Certificate) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' } as const;
}
