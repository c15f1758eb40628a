import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

/** What kube-proxy makes of a Service: one address, and behind it whichever replica takes the connection. */
export class ServiceProxy implements AsyncDisposable {
  readonly #open = new Set<Socket>();
  #turn = 0;

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {
    server.on('connection', (socket) => this.#forward(socket));
  }

  /** Before the replicas that listen on these ports of 127.0.0.1. */
  static async start(ports: readonly number[]): Promise<ServiceProxy> {
    const server = createServer();
    const proxy = new ServiceProxy(server, ports);
    server.listen(0, ownAddress());
    await once(server, 'listening');
    return proxy;
  }

  /** The endpoint that the API server is to use. */
  get endpoint(): { readonly address: string; readonly port: number } {
    const bound = this.server.address();
    if (bound === null || typeof bound === 'string') throw new Error('the Service has no port');
    return bound;
  }

  /** Closes what is open, so that the next request opens a new connection. */
  disconnect(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.disconnect();
    await closed;
  }

  #forward(socket: Socket): void {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    this.#turn += 1;
    this.#try(socket, this.#turn, this.ports.length);
  }

  #try(socket: Socket, turn: number, left: number): void {
    const port = this.ports[turn % this.ports.length];
    if (left === 0 || port === undefined) {
      socket.destroy();
      return;
    }
    const replica = connect(port, '127.0.0.1');
    const next = () => this.#try(socket, turn + 1, left - 1);
    replica.once('error', next);
    replica.once('connect', () => {
      replica.off('error', next);
      replica.on('error', () => socket.destroy());
      socket.on('close', () => replica.destroy());
      replica.on('close', () => socket.destroy());
      socket.pipe(replica).pipe(socket);
    });
  }
}

/** An address of this machine that a Service's endpoint may have, which one of loopback may not. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const own = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (own === undefined) throw new Error('this machine has no IPv4 address but those of loopback');
  return own.address;
}
