import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { Effects } from '../core/effects.ts';
import { HttpConnections, type HttpConnectionsOptions } from './http-connections.ts';

interface PlainListenerOptions extends Pick<HttpConnectionsOptions, 'fetch' | 'connectionRefused'> {
  /** 0: any. */
  readonly port: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

// A kubelet and a Prometheus have a handful.
const CONNECTIONS = { all: 128, onePeer: 32 };
/** Bytes. Nobody sends a health port a body. */
const LARGEST_BODY = 4096;

/**
 * HTTP for a few clients of whom anybody may be one: a health port. Slower than `Bun.serve`, which has no limit to the
 * connections that one address may keep.
 */
export class PlainListener {
  readonly #server: Server;
  readonly #connections: HttpConnections;

  private constructor({ fetch, connectionRefused, effects }: PlainListenerOptions) {
    const connections = new HttpConnections({
      ...{ fetch, connectionRefused, effects, largestBody: LARGEST_BODY, limits: CONNECTIONS },
      isEnding: () => false,
    });
    this.#connections = connections;
    this.#server = createServer((socket) => {
      connections.accept(socket);
      connections.serve(socket);
    });
  }

  /** Resolves when it listens, on IPv6 and IPv4, or on IPv4 alone if there is no IPv6. Throws if it cannot. */
  static async start(options: PlainListenerOptions): Promise<PlainListener> {
    const listener = new PlainListener(options);
    try {
      await listener.#listen(options.port, '::').catch(() => listener.#listen(options.port, '0.0.0.0'));
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

  stop(): void {
    this.#server.close();
    this.#connections.stop();
  }

  async #listen(port: number, host: string): Promise<void> {
    this.#server.listen({ port, host });
    // rejects with the 'error' that comes instead
    await once(this.#server, 'listening');
  }
}
