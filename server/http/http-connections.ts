import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Effects } from '../core/effects.ts';
import { BodyBudget } from './body-budget.ts';
import { HttpConnection, type HttpConnectionOptions } from './http-connection.ts';
import { type ConnectionLimits, OpenConnections } from './open-connections.ts';
import { LARGEST_HEAD } from './request-gate.ts';

export interface HttpConnectionsOptions
  extends Pick<HttpConnectionOptions, 'fetch' | 'largestBody' | 'isEnding'> {
  readonly limits: ConnectionLimits;
  /** Called when a connection of `peer` is ended at once, because too many are open. */
  readonly connectionRefused: (peer: string) => void;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Milliseconds: how often deadlines are looked at. */
const SWEEP = 1000;

/** The connections of one port, which node:http reads; what they may cost is bounded, for one address and for all. */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions;
  readonly #http: Server;
  readonly #bodies = new BodyBudget();
  readonly #open: OpenConnections<HttpConnection>;
  readonly #connections = new WeakMap<object, HttpConnection>();
  readonly #stopped = new AbortController();

  constructor(options: HttpConnectionsOptions) {
    this.#options = options;
    this.#open = new OpenConnections(options.limits);
    this.#http = createServer({ maxHeaderSize: LARGEST_HEAD, keepAliveTimeout: 0 }, (request, response) => {
      this.#connections
        .get(request.socket)
        ?.answer(request, response)
        .catch(() => request.socket.destroy());
    });
    this.#http.on('clientError', (_, gate) => this.#connections.get(gate)?.refuse('400 Bad Request'));
    this.#sweep();
  }

  /** Counts a new connection, or ends it. */
  accept(socket: Socket): void {
    const peer = socket.remoteAddress ?? ''; // none if it has gone already
    const { fetch, largestBody, isEnding, effects } = this.#options;
    const bodies = this.#bodies;
    const connection = new HttpConnection(peer, socket, {
      ...{ fetch, largestBody, isEnding, bodies },
      now: effects.now,
    });
    if (!this.#open.add(peer, connection)) {
      this.#options.connectionRefused(peer);
      connection.destroy();
      return;
    }
    this.#connections.set(socket, connection);
    socket.on('close', () => this.#open.remove(peer, connection));
  }

  /** Reads a connection that was accepted; with TLS, after the handshake. */
  serve(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    const gate = connection.open();
    this.#connections.set(gate, connection);
    this.#http.emit('connection', gate);
  }

  /** Ends those without a request in progress. */
  endIdle(): void {
    for (const connection of this.#open) connection.endIfIdle();
  }

  /** Ends all of them. */
  stop(): void {
    this.#stopped.abort();
    for (const connection of this.#open) connection.destroy();
  }

  /** Ends connections that are late, each second. */
  async #sweep(): Promise<void> {
    const { sleep } = this.#options.effects;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await sleep(SWEEP, signal).catch(() => {});
      for (const connection of this.#open) connection.destroyIfLate();
    }
  }
}
