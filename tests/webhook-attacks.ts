import { connect, type TLSSocket } from 'node:tls';

const MIB = 1024 * 1024;

/** Somebody who can connect to the webhook, from an address of their own. */
export class Attacker {
  constructor(
    private readonly port: number,
    private readonly address: string,
  ) {}

  /** Undefined if the webhook closes the connection before the handshake is over. */
  connect(): Promise<TLSSocket | undefined> {
    return new Promise((resolve) => {
      const socket = connect(
        { port: this.port, host: '127.0.0.1', localAddress: this.address, rejectUnauthorized: false },
        () => resolve(socket),
      );
      socket.on('error', () => resolve(undefined));
      socket.on('close', () => resolve(undefined));
    });
  }

  async connections(count: number): Promise<TLSSocket[]> {
    const sockets = await Promise.all(Array.from({ length: count }, () => this.connect()));
    return sockets.filter((socket) => socket !== undefined);
  }

  /** The status of the response to `body`; undefined if the connection ends without one. */
  async post(body: string | Uint8Array, path = '/mutate/pods'): Promise<number | undefined> {
    const socket = await this.connect();
    if (socket === undefined) return undefined;
    socket.write(`${head(path)}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`);
    socket.write(body);
    const status = await statusOf(socket);
    socket.destroy();
    return status;
  }
}

function head(path: string, type = 'application/json', method = 'POST'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: webhook\r\nContent-Type: ${type}\r\n`;
}

function statusOf(socket: TLSSocket): Promise<number | undefined> {
  return new Promise((resolve) => {
    socket.once('data', (data) => resolve(Number(/^HTTP\/1.1 (\d+)/.exec(data.toString())?.[1])));
    socket.on('close', () => resolve(undefined));
  });
}

/** Sends without end until the connection is closed; resolves then. */
async function sendOn(socket: TLSSocket, piece: string): Promise<void> {
  socket.resume();
  while (!socket.destroyed) {
    if (socket.write(piece)) await Bun.sleep(0);
    else await drained(socket);
  }
}

function drained(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.once('drain', done).once('close', done);
  });
}

/** A review of a Pod that opts in, in mode Environment; `object` and `more` are JSON texts. */
export function podReview(spec: string, more = '', uid = 'u'): string {
  const labels = '{"gke-metadata-server.matheuscscp.io/webhook":"Mutate"}';
  const annotations = '{"gke-metadata-server.matheuscscp.io/mode":"Environment"}';
  const object = `{"metadata":{"labels":${labels},"annotations":${annotations}},"spec":${spec}}`;
  const resource = '{"group":"","version":"v1","resource":"pods"}';
  return (
    '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{' +
    `"uid":"${uid}","operation":"CREATE","resource":${resource},"namespace":"default","object":${object}}${more}}`
  );
}

export function manyContainers(count: number, bytesOfEach: number): string {
  const container = '{"name":"x","image":"y"}';
  const padded = `{"name":"x","image":"${'y'.repeat(Math.max(1, bytesOfEach - container.length))}"}`;
  return podReview(`{"containers":[${Array.from({ length: count }, () => padded).join(',')}]}`);
}

const withField = (value: string) => podReview(`{"containers":[{"name":"x"}],"other":${value}}`);
const fill = (piece: string) => piece.repeat(Math.floor((2.8 * MIB) / piece.length));

/** Single bodies that could become far more than they are. */
export const BODIES: Readonly<Record<string, () => string>> = {
  'lists nested 100 deep around one string': () =>
    withField(`${'['.repeat(100)}"${'x'.repeat(2.8 * MIB)}"${']'.repeat(100)}`),
  'lists nested without end': () => '['.repeat(3 * MIB),
  'objects nested without end': () => '{"a":'.repeat((3 * MIB) / 5),
  'empty objects': () => withField(`[${fill('{},')}0]`),
  numbers: () => withField(`[${fill('0,')}0]`),
  'as many objects as are taken': () => withField(`[${'{"a":[]},'.repeat(49_000)}0]`),
  'as many different keys as are taken': () =>
    withField(`{${Array.from({ length: 149_000 }, (_, index) => `"k${index}":0`).join(',')}}`),
  'objects of a shape each': () =>
    withField(`[${Array.from({ length: 74_000 }, (_, index) => `{"k${index}":0}`).join(',')}]`),
  'a string of escapes': () => withField(`"${fill('\\u0101')}"`),
  'a string of two-byte characters': () => withField(`"${fill('ā')}"`),
  'an endless uid': () => podReview('{"containers":[]}', '', 'x'.repeat(2.8 * MIB)),
  'a variable name in all of it': () =>
    podReview(`{"containers":[{"name":"x","env":[${fill('{"name":"A"},').slice(0, 1_500_000)}{}]}]}`),
  'host aliases in all of it': () =>
    podReview(`{"containers":[],"hostAliases":[${'{"ip":"1","hostnames":["a"]},'.repeat(36_000)}{"ip":""}]}`),
  '18,500 containers': () => manyContainers(18_500, 150),
  '200 containers': () => manyContainers(200, 30),
};

/** What opens many connections. Each resolves when the webhook has closed them, or has answered. */
export const FLOODS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  '300 connections whose requests are refused and that go on sending': async (port) => {
    const attacker = new Attacker(port, '127.0.0.2');
    const refused = [
      head('/mutate/pods', 'text/plain'),
      head('/nowhere'),
      head('/mutate/pods', 'application/json', 'PUT'),
      head('/mutate/pods'),
    ];
    const sockets = await attacker.connections(300);
    const piece = 'x'.repeat(65_536);
    await Promise.all(
      sockets.map((socket, index) => {
        const isChunked = index % 2 === 0;
        const length = isChunked ? 'Transfer-Encoding: chunked' : 'Content-Length: 900000000';
        socket.write(`${refused[index % refused.length]}${length}\r\n\r\n${isChunked ? 'fffffff\r\n' : ''}`);
        return sendOn(socket, piece);
      }),
    );
  },
  'requests without waiting for answers': async (port) => {
    const sockets = await new Attacker(port, '127.0.0.2').connections(200);
    const request = `${head('/mutate/pods')}Content-Length: 2\r\n\r\n{}`.repeat(1000);
    for (const socket of sockets) {
      socket.resume();
      socket.write(request);
    }
    await closed(sockets);
  },
  'bodies of the largest size, one after the other': async (port) => {
    const body = BODIES['as many objects as are taken']?.() ?? '';
    const attackers = ADDRESSES.map((address) => new Attacker(port, address));
    await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        for (let round = 0; round < 4; round++) await attackers[index % attackers.length]?.post(body);
      }),
    );
  },
  // what follows lasts until the webhook has waited long enough
  'bodies that are all sent but for their last byte, from every address': async (port) => {
    const bytes = 3 * MIB - 1;
    const sockets = await fromAll(port, 30);
    const piece = 'x'.repeat(bytes);
    for (const socket of sockets) {
      socket.resume();
      socket.write(`${head('/mutate/pods')}Content-Length: ${bytes + 1}\r\n\r\n${piece}`);
    }
    await closed(sockets);
  },
  'small bodies that are all sent but for their last byte, from every address': async (port) => {
    const sockets = await fromAll(port, 256);
    const piece = 'x'.repeat(120_000);
    for (const socket of sockets) {
      socket.resume();
      socket.write(`${head('/mutate/pods')}Content-Length: 120001\r\n\r\n${piece}`);
    }
    await closed(sockets);
  },
  'headers without an end, from every address': async (port) => {
    const sockets = await fromAll(port, 256);
    for (const socket of sockets) {
      socket.resume();
      socket.write(`${head('/mutate/pods')}X: ${'x'.repeat(15_000)}`);
    }
    await closed(sockets);
  },
  'answers that are never read, from every address': async (port) => {
    const sockets = await fromAll(port, 100);
    const review = manyContainers(200, 30);
    for (const socket of sockets) {
      socket.pause();
      socket.write(`${head('/mutate/pods')}Content-Length: ${Buffer.byteLength(review)}\r\n\r\n${review}`);
    }
    // a closed connection is not noticed by who does not read
    await Bun.sleep(5000);
    for (const socket of sockets) socket.destroy();
  },
};

const ADDRESSES = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6'];

async function fromAll(port: number, ofEach: number): Promise<TLSSocket[]> {
  const all = ADDRESSES.map((address) => new Attacker(port, address).connections(ofEach));
  return (await Promise.all(all)).flat();
}

async function closed(sockets: readonly TLSSocket[]): Promise<void> {
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          if (socket.destroyed) resolve();
          else socket.once('close', () => resolve());
        }),
    ),
  );
}
