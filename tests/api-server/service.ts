import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a Service is to the API server: one address, and behind it whichever replica takes the connection. */
export class Service implements AsyncDisposable {
  readonly #open = new Set<Socket>();
  #turn = 0;

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {
    server.on('connection', (socket) => this.#forward(socket));
  }

  /** Before the replicas that listen on these ports of 127.0.0.1. */
  static async start(ports: readonly number[]): Promise<Service> {
    const server = createServer();
    const service = new Service(server, ports);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get url(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the Service has no port');
    return `https://127.0.0.1:${address.port}`;
  }

  /** Ends what is open, so that whoever asks next connects anew. */
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
