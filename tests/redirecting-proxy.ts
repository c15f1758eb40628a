import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';

/**
 * A proxy for https that leads to one server, for every host that a client requests: `HTTPS_PROXY` set to its URL, clients
 * reach a stand-in by the cloud's real name, without DNS. Disposing of it cuts its connections.
 */
export async function redirectingProxy(
  hostname: string,
  server: string,
): Promise<AsyncDisposable & { url: string }> {
  const { hostname: host, port } = new URL(server);
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // the other end went away: so does this
    socket.once('error', () => socket.destroy());
  };
  const proxy = createServer((_, response) => void response.writeHead(405).end());
  proxy.on('connect', (_, client: Socket, head: Buffer) => {
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    track(client);
    track(upstream);
  });
  await new Promise<void>((resolve, reject) => {
    proxy.once('error', reject);
    proxy.listen(0, hostname, resolve);
  });
  const address = proxy.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port');
  return {
    url: `http://${hostname}:${address.port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => proxy.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
