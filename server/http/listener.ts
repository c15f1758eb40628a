import { connect } from 'node:net';
import type { Server } from 'bun';
import type { Sleep } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';

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
// Milliseconds in which responses tell clients to close their connections. Without it some requests on kept-alive
// connections were lost (tried with 20,000 connections).
const DRAIN = 500;
// Milliseconds that requests in progress may take after that, below the kubelet's 30 s.
const LONGEST_STOP = 10_000;

/**
 * Listens on `port` (0: any) of all addresses, IPv4 and IPv6, or only IPv4 if the Node does not have IPv6. The port is
 * shared by default (`reusePort`), so the next version listens before this one ends.
 */
export function listen(app: App, port: number, reusePort = true): Server<unknown> {
  const options = {
    port,
    reusePort,
    development: false,
    idleTimeout: IDLE_TIMEOUT,
    maxRequestBodySize: LARGEST_BODY,
  };
  try {
    app.listen({ ...options, hostname: '::' });
  } catch (error) {
    // Bun reports every failure as a port in use; if it is, this fails too
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
 * Stops a server without losing a request: `draining` makes its responses carry `Connection: close` and ends long polls;
 * then it stops, once requests in progress are answered.
 */
export async function drain(server: Server<unknown>, draining: AbortController, sleep: Sleep): Promise<void> {
  draining.abort();
  await sleep(DRAIN);
  const late = new AbortController();
  const stopped = server.stop().finally(() => late.abort());
  await Promise.race([stopped, sleep(LONGEST_STOP, late.signal).catch(() => stopped)]);
  await server.stop(true);
}

/** Why a port cannot be listened on; `flag` is the one that sets it. */
export function cannotListen(port: number, flag: string, cause?: unknown): Fault {
  // Bun reports every failure as EADDRINUSE
  const { code = 'EADDRINUSE' } = cause instanceof Error ? (cause as NodeJS.ErrnoException) : {};
  const reason = code === 'EADDRINUSE' ? 'another program has it' : code;
  return new Fault('setting-invalid', `cannot listen on port ${port}: ${reason}`, {
    remedy: `Stop that program, or choose another port with ${flag}.`,
    cause,
  });
}

/** The path at which a server names its instance of this project. */
export const INSTANCE_PATH = '/.well-known/gke-metadata-server';

const PATIENCE = 2000;
/** A server that is shutting down resets connections, so it is asked again. */
const ATTEMPTS = 3;
const PAUSE = 300;
const LONGEST_ANSWER = 2048;

/**
 * Makes sure that the port is free, or is of an earlier server of the same instance, which this one replaces. The port
 * is shared (`reusePort`), so any process of the same user could listen too, and both would answer Pods in turn.
 * Throws `setting-invalid`. `flag` is the one that sets the port.
 */
export async function requireOwnPort(
  port: number,
  flag: string,
  instance: string,
  sleep: Sleep,
): Promise<void> {
  if (port === 0) return;
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(port);
    if (answer === 'nobody' || answer === instance) return;
    if (answer === undefined && attempt < ATTEMPTS) {
      await sleep(PAUSE);
      continue;
    }
    if (answer === undefined) {
      throw cannotListen(port, flag);
    }
    const other = printable(answer, 300);
    throw new Fault('setting-invalid', `cannot listen on port ${port}: the instance ${other} has it`, {
      remedy:
        `This is ${instance}, and a Node runs one instance. Uninstall one of the two, give them different Nodes ` +
        `(nodeSelector), or choose another port with ${flag}.`,
    });
  }
}

/** The instance that listens, `nobody`, or undefined if the listener is not of this project or does not respond. */
function ask(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let received = '';
    // not by fetch, which would use a proxy from the environment
    const socket = connect({ port, host: '127.0.0.1', timeout: PATIENCE });
    const end = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => {
      socket.write(`GET ${INSTANCE_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    socket.on('data', (data) => {
      received += data;
      if (received.length > LONGEST_ANSWER) end(undefined);
    });
    socket.on('close', () => end(/^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n(.+)\n$/.exec(received)?.[1]));
    socket.on('timeout', () => end(undefined));
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      end(code === 'ECONNREFUSED' ? 'nobody' : undefined),
    );
  });
}
