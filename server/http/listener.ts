import type { Server } from 'bun';
import type { Sleep } from '../core/effects.ts';

/** What Elysia's app is to a listener. */
export interface App {
  readonly server: Server<unknown> | null;
  listen(options: {
    readonly hostname: string;
    readonly port: number;
    readonly reusePort: boolean;
    readonly development: boolean;
    readonly idleTimeout: number;
    readonly maxRequestBodySize: number;
  }): unknown;
}

/** Seconds a connection may be silent: what an idle client costs at most. */
export const IDLE_TIMEOUT = 60;
// Nothing here reads a body.
const LARGEST_BODY = 4096;
// Milliseconds in which clients with a connection open are told to close it; tried with 20,000 connections, and
// with none of it some requests on kept connections were lost.
const DRAIN = 500;
// Milliseconds that answers under way may take after that, below the kubelet's 30 s.
const LONGEST_STOP = 10_000;

/**
 * Listens on `port` (0: any) of every address, IPv4 and IPv6, or of IPv4 alone where the Node has no IPv6. The
 * port is shared (`reusePort`), so that the next version listens before this one ends.
 */
export function listen(app: App, port: number): Server<unknown> {
  const options = {
    port,
    reusePort: true,
    development: false,
    idleTimeout: IDLE_TIMEOUT,
    maxRequestBodySize: LARGEST_BODY,
  };
  try {
    app.listen({ ...options, hostname: '::' });
  } catch (error) {
    // Bun says of every failure that the port is in use; were it so, it would be here too
    try {
      app.listen({ ...options, hostname: '0.0.0.0' });
    } catch {
      throw error;
    }
  }
  if (app.server === null) throw new Error('the server did not start');
  return app.server;
}

/**
 * Ends a server so that no request is lost: `draining` makes its answers carry `Connection: close` and its waiting
 * requests end; then it stops, once those under way are answered.
 */
export async function drain(server: Server<unknown>, draining: AbortController, sleep: Sleep): Promise<void> {
  draining.abort();
  await sleep(DRAIN);
  const late = new AbortController();
  const stopped = server.stop().finally(() => late.abort());
  await Promise.race([stopped, sleep(LONGEST_STOP, late.signal).catch(() => stopped)]);
  await server.stop(true);
}
