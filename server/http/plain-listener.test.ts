import { expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { ManualClock } from '../testing/manual-clock.ts';
import { PlainListener } from './plain-listener.ts';

test('answers, and one address cannot keep the others out, however slow its requests are', async () => {
  const clock = new ManualClock();
  const fetch = () => new Response('ok');
  const refused: string[] = [];
  const listener = await PlainListener.start({
    ...{ port: 0, effects: clock, fetch },
    connectionRefused: (peer) => refused.push(peer),
  });
  const url = `http://127.0.0.1:${listener.port}/`;
  const opened = Array.from({ length: 200 }, () => slow(listener.port));
  const open = (await Promise.all(opened)).filter(({ isClosed }) => !isClosed);
  while (open.filter(({ isClosed }) => !isClosed).length > 32) await Bun.sleep(1);
  expect(await (await globalThis.fetch(url)).text()).toBe('ok');
  const held = open.filter(({ isClosed }) => !isClosed);
  expect(held).toHaveLength(32);
  expect(refused).toEqual(Array(168).fill('::ffff:127.0.0.2'));
  await clock.advance(12_000);
  while (held.some(({ isClosed }) => !isClosed)) await Bun.sleep(1);
  expect(await (await globalThis.fetch(url)).text()).toBe('ok');
  listener.stop();
  await expect(globalThis.fetch(url)).rejects.toThrow();
});

/** A connection from an address of its own that sends the half of a request. */
function slow(port: number): Promise<{ readonly socket: Socket; readonly isClosed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' }, () => {
      socket.write('GET / HTTP/1.1\r\nX: ');
      resolve(state);
    });
    const state = { socket, isClosed: false };
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      state.isClosed = true;
      resolve(state);
    });
  });
}
