import { describe, expect, test } from 'bun:test';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import type { Sleep } from '../core/effects.ts';
import { OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import type { Certificate } from './certificate.ts';
import { TlsListener } from './tls-listener.ts';

const MIB = 1024 * 1024;
const UNTRUSTED = { tls: { rejectUnauthorized: false } };

async function issue(commonName: string): Promise<Certificate> {
  return { ...(await selfSigned(commonName)), notAfter: 0 };
}

/** The common name of the certificate that a new connection is shown. */
function shown(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on('error', reject);
  return promise;
}

/** The drain ends when `drained` says so, and the limit after it never passes. */
function drainUntil(drained: Promise<void>): Sleep {
  return (_, signal) =>
    signal === undefined
      ? drained
      : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

const atOnce = drainUntil(Promise.resolve());

describe.skipIf(OPENSSL_MISSING)(`TlsListener${OPENSSL_MISSING ? ' (not run: needs openssl)' : ''}`, () => {
  test('shows new connections the new certificate, and answers on the old ones', async () => {
    const answering = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const fetched = async (): Promise<Response> => {
      begun.resolve();
      await answering.promise;
      return new Response('answered');
    };
    const listener = await TlsListener.start(
      {
        port: 0,
        largestBody: MIB,
        connectionRefused: () => {},
        effects: { now: Date.now, sleep: atOnce },
        fetch: fetched,
      },
      await issue('first'),
    );
    expect(await shown(listener.port)).toBe('first');
    const slow = fetch(`https://127.0.0.1:${listener.port}/`, UNTRUSTED);
    await begun.promise;
    listener.change(await issue('second'));
    expect(await shown(listener.port)).toBe('second');
    answering.resolve();
    expect(await (await slow).text()).toBe('answered');
    await listener.stop();
  }, 30_000);

  test.each([true, false])(
    'loses no request through many changes (connections kept: %p)',
    async (keepalive) => {
      const [first, second] = [await issue('first'), await issue('second')];
      const listener = await TlsListener.start(
        {
          port: 0,
          largestBody: MIB,
          connectionRefused: () => {},
          effects: { now: Date.now, sleep: atOnce },
          fetch: async (request) => new Response(await request.text()),
        },
        first,
      );
      let done = false;
      let answered = 0;
      const body = 'x'.repeat(20_000);
      const client = async () => {
        while (!done) {
          const url = `https://127.0.0.1:${listener.port}/`;
          const response = await fetch(url, { method: 'POST', body, keepalive, ...UNTRUSTED });
          expect(await response.text()).toBe(body);
          answered++;
        }
      };
      const clients = Promise.all(Array.from({ length: 4 }, client));
      for (let n = 0; n < 30; n++) {
        listener.change(n % 2 === 0 ? second : first);
        const enough = answered + 4;
        while (answered < enough) await Bun.sleep(1);
      }
      done = true;
      await clients;
      await listener.stop();
    },
    60_000,
  );

  test('stops after clients were asked to close and requests in progress are answered', async () => {
    const drained = Promise.withResolvers<void>();
    const answering = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const listener = await TlsListener.start(
      {
        port: 0,
        largestBody: MIB,
        connectionRefused: () => {},
        effects: { now: Date.now, sleep: drainUntil(drained.promise) },
        fetch: async ({ url }) => {
          if (url.endsWith('/slow')) {
            begun.resolve();
            await answering.promise;
          }
          return new Response('answered');
        },
      },
      await issue('first'),
    );
    const url = `https://127.0.0.1:${listener.port}`;
    const idle = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
    const idleClosed = new Promise((resolve) => idle.on('close', resolve));
    idle.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => idle.once('data', resolve));
    idle.resume();
    const slow = fetch(`${url}/slow`, UNTRUSTED);
    await begun.promise;
    const stopped = listener.stop();
    const late = await fetch(url, UNTRUSTED);
    expect([await late.text(), late.headers.get('connection')]).toEqual(['answered', 'close']);
    drained.resolve();
    answering.resolve();
    expect(await (await slow).text()).toBe('answered');
    await stopped;
    await idleClosed;
    await expect(fetch(url, UNTRUSTED)).rejects.toThrow();
  }, 30_000);

  test('hangs up on who speaks no TLS, and listens on', async () => {
    const listener = await TlsListener.start(
      {
        port: 0,
        largestBody: MIB,
        connectionRefused: () => {},
        effects: { now: Date.now, sleep: atOnce },
        fetch: () => new Response('answered'),
      },
      await issue('first'),
    );
    const plain = connectPlain(listener.port, '127.0.0.1');
    plain.on('error', () => {});
    plain.write('GET / HTTP/1.1\r\n\r\n');
    plain.resume();
    await new Promise((resolve) => plain.on('close', resolve));
    expect(await (await fetch(`https://127.0.0.1:${listener.port}/`, UNTRUSTED)).text()).toBe('answered');
    await listener.stop();
  }, 30_000);

  test('throws if it cannot listen on a port', async () => {
    const taken = Bun.serve({ port: 0, hostname: '::', fetch: () => new Response('mine') });
    const options = {
      port: taken.port ?? 0,
      largestBody: MIB,
      connectionRefused: () => {},
      effects: { now: Date.now, sleep: atOnce },
      fetch: () => new Response('ours'),
    };
    await expect(TlsListener.start(options, await issue('first'))).rejects.toThrow();
    await taken.stop(true);
  });
});
