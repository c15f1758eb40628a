import { describe, expect, test } from 'bun:test';
import { connect, type TLSSocket } from 'node:tls';
import { OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { BodyRefused } from './body-budget.ts';
import { TlsListener } from './tls-listener.ts';

const MIB = 1024 * 1024;
const POST = 'POST / HTTP/1.1\r\nHost: webhook\r\n';

/** A listener that answers with how many bytes came, or `refused` with the rest of the body unread; and its clock. */
async function listening() {
  const clock = new ManualClock();
  const requests: string[] = [];
  const refused: string[] = [];
  const listener = await TlsListener.start(
    {
      port: 0,
      largestBody: MIB,
      effects: clock,
      connectionRefused: (peer) => refused.push(peer),
      fetch: async (request) => {
        const { pathname } = new URL(request.url);
        requests.push(pathname);
        if (pathname === '/refused') return new Response('refused', { status: 415 });
        if (pathname === '/hangs') return new Promise(() => {});
        try {
          return new Response(`${(await request.bytes()).length} bytes`);
        } catch (error) {
          if (!(error instanceof BodyRefused)) throw error;
          return new Response(error.message, { status: error.status });
        }
      },
    },
    { ...(await selfSigned('bounds')), notAfter: 0 },
  );
  return {
    clock,
    requests,
    refused,
    port: listener.port,
    async [Symbol.asyncDispose]() {
      const stopped = listener.stop();
      await clock.advance(60_000);
      await stopped;
    },
  };
}

class Client {
  received = '';
  readonly closed: Promise<void>;

  private constructor(readonly socket: TLSSocket) {
    socket.setEncoding('utf8').on('data', (text) => {
      this.received += text;
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
  }

  /** Undefined if it is closed before the handshake. */
  static connect(port: number, localAddress = '127.0.0.1'): Promise<Client | undefined> {
    return new Promise((resolve) => {
      const options = { port, host: '127.0.0.1', localAddress, rejectUnauthorized: false };
      const socket = connect(options, () => resolve(new Client(socket)));
      socket.on('error', () => resolve(undefined));
      socket.on('close', () => resolve(undefined));
    });
  }

  /** Resolves once the response has come as far as `text`. */
  async has(text: string): Promise<void> {
    while (!this.received.includes(text)) await Bun.sleep(1);
  }

  /** Resolves when the kernel has taken it; rejects if the connection was reset. */
  sends(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(text, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Sends without end, whatever is answered. */
  async sendOn(): Promise<void> {
    const piece = 'x'.repeat(65_536);
    while (!this.socket.destroyed) {
      if (!this.socket.write(piece)) await Bun.sleep(1);
    }
  }
}

async function client(port: number): Promise<Client> {
  const connected = await Client.connect(port);
  if (connected === undefined) throw new Error('refused');
  return connected;
}

describe.skipIf(OPENSSL_MISSING)(
  `what a client may cost${OPENSSL_MISSING ? ' (not run: needs openssl)' : ''}`,
  () => {
    test.each([
      [
        'that is refused unread',
        'POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n',
        '415',
      ],
      [
        'of chunks',
        'POST /refused HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n',
        '411',
      ],
      ['that is too long', `${POST}Content-Length: 900000000\r\n\r\n`, '403'],
      ['of chunks, otherwise right,', `${POST}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n`, '411'],
    ])(
      'a body %s ends the connection with the answer, though more is sent',
      async (_, head, status) => {
        await using server = await listening();
        const attacker = await client(server.port);
        attacker.socket.write(head);
        const sending = attacker.sendOn();
        await attacker.has(`HTTP/1.1 ${status}`);
        // it has a moment to read its response
        await server.clock.advance(3000);
        await attacker.closed;
        await sending;
        const [first = ''] = attacker.received.toLowerCase().split('\r\n\r\n');
        expect(first).toContain('connection: close');
      },
      30_000,
    );

    test.each([
      ['is too long', `${POST}Content-Length: ${2 * MIB}\r\n\r\n`, 2 * MIB],
      ['is refused unread', `POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: ${MIB}\r\n\r\n`, MIB],
    ])(
      'a client that is slow to send a body that %s meets no reset before it has sent all of it',
      async (_, head, length) => {
        await using server = await listening();
        const slow = await client(server.port);
        slow.socket.write(head);
        await slow.has('HTTP/1.1 4');
        const piece = 'x'.repeat(length / 16);
        for (let sent = 0; sent < length; sent += piece.length) {
          expect([sent, slow.socket.destroyed]).toEqual([sent, false]);
          await slow.sends(piece);
          await server.clock.advance(1000);
        }
        await slow.closed;
      },
      30_000,
    );

    test('a client that sends nothing of a refused body, but stays, is closed in time', async () => {
      await using server = await listening();
      const silent = await client(server.port);
      silent.socket.write(`${POST}Content-Length: ${2 * MIB}\r\n\r\n`);
      await silent.has('HTTP/1.1 403');
      await server.clock.advance(15_000);
      await silent.sends('x');
      await server.clock.advance(7000);
      await silent.closed;
    }, 30_000);

    test('a body that is refused when it is there already costs no connection', async () => {
      await using server = await listening();
      const honest = await client(server.port);
      honest.socket.write('POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
      await honest.has('refused');
      honest.socket.write(`${POST}Content-Length: 3\r\n\r\nabc`);
      await honest.has('3 bytes');
    }, 30_000);

    test('a request that is sent before the last is answered ends the connection', async () => {
      await using server = await listening();
      const pipelining = await client(server.port);
      const hangs = 'POST /hangs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
      pipelining.socket.write(hangs.repeat(1000));
      await pipelining.closed;
      const later = await client(server.port);
      later.socket.write(hangs);
      while (server.requests.length < 2) await Bun.sleep(1);
      later.socket.write(hangs);
      await later.closed;
      expect(server.requests).toEqual(['/hangs', '/hangs']);
    }, 30_000);

    test.each([
      ['endless headers', `${POST}X: ${'x'.repeat(100_000)}`, '431'],
      ['endless request lines', `POST /${'x'.repeat(100_000)}`, '4'],
      ['what is not HTTP', 'hello\r\n\r\n', '400'],
      ['two lengths', `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`, '400'],
    ])(
      '%s end the connection',
      async (_, sent, status) => {
        await using server = await listening();
        const attacker = await client(server.port);
        attacker.socket.write(sent);
        await attacker.has(`HTTP/1.1 ${status}`);
        await server.clock.advance(3000);
        await attacker.closed;
        expect(server.requests).toEqual([]);
      },
      30_000,
    );

    test.each([
      ['its headers to come in pieces', `${POST}X: `, 11_000],
      ['its first request', '', 121_000],
      ['its body', `${POST}Content-Length: 5\r\n\r\nab`, 21_000],
      ['an answer', 'POST /hangs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', 21_000],
    ])(
      'a connection that waits for %s is closed in time',
      async (_, sent, limit) => {
        await using server = await listening();
        const slow = await client(server.port);
        if (sent !== '') {
          slow.socket.write(sent);
          // what it sends is there when another's request is answered
          const other = await client(server.port);
          other.socket.write(`${POST}Content-Length: 0\r\n\r\n`);
          await other.has('0 bytes');
        }
        await server.clock.advance(limit - 5000);
        expect(slow.socket.destroyed).toBe(false);
        if (sent !== '') slow.socket.write('x');
        await server.clock.advance(7000);
        await slow.closed;
      },
      30_000,
    );

    test('one address has 256 connections, and others come in', async () => {
      await using server = await listening();
      const many = await Promise.all(Array.from({ length: 270 }, () => Client.connect(server.port)));
      expect(many.filter((one) => one !== undefined)).toHaveLength(256);
      expect(server.refused).toHaveLength(14);
      const other = await Client.connect(server.port, '127.0.0.2');
      other?.socket.write(`${POST}Content-Length: 3\r\n\r\nabc`);
      await other?.has('3 bytes');
      for (const one of [...many, other]) one?.socket.destroy();
    }, 60_000);

    test('bodies of one address that are not answered are so many bytes; others are read, and it again after', async () => {
      await using server = await listening();
      const head = `${POST}Content-Length: ${MIB}\r\n\r\n`;
      const most = 'x'.repeat(MIB - 1);
      const holding = await Promise.all(Array.from({ length: 14 }, () => client(server.port)));
      for (const one of holding) one.socket.write(head + most);
      // 12 MiB are for large bodies of one address
      while (holding.filter(({ received }) => received.includes('HTTP/1.1 503')).length < 2)
        await Bun.sleep(1);
      const small = await client(server.port);
      small.socket.write(`${POST}Content-Length: 3\r\n\r\nabc`);
      await small.has('3 bytes');
      const other = await Client.connect(server.port, '127.0.0.2');
      other?.socket.write(`${head}${most}y`);
      await other?.has(`${MIB} bytes`);
      for (const one of holding) one.socket.write('y');
      const answered = holding.filter(({ received }) => !received.includes('HTTP/1.1 503'));
      for (const one of answered) await one.has(`${MIB} bytes`);
      small.socket.write(`${head}${most}y`);
      await small.has(`${MIB} bytes`);
    }, 60_000);
  },
);
