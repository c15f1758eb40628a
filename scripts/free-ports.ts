import { createServer, type Server } from 'node:net';

// Below the ports that the system hands out itself (from 32768 on Linux): none of these is another program's by the
// time it is used, except if that program also chooses here. Node ports of Kubernetes start at 30000.
const FIRST = 20_000;
const LAST = 29_999;

type Ports<Count extends number, Found extends number[] = []> = Found['length'] extends Count
  ? Found
  : Ports<Count, [...Found, number]>;

/** Different ports that nobody listens on, in any family. */
export async function freePorts<Count extends number>(count: Count): Promise<Ports<Count>> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    const server = servers.has(port) ? undefined : await listen(port);
    if (server !== undefined) servers.set(port, server);
  }
  // held until all are found
  await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...servers.keys()] as Ports<Count>; // as many as the loop waits for
}

/** Undefined if another program has this port. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) =>
      'code' in error && error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(port, () => resolve(server));
  });
}
