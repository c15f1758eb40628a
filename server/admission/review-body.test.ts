import { describe, expect, test } from 'bun:test';
import type { Sleep } from '../core/effects.ts';
import { ReviewBodies } from './review-body.ts';

const MIB = 1024 * 1024;
const forever: Sleep = () => new Promise(() => {});

function request(body: string | ReadableStream, headers: Record<string, string> = {}): Request {
  return new Request('https://webhook/', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

/** A body without a length, of pieces that are counted as they are taken. */
function stream(pieces: number, size: number) {
  let taken = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (taken === pieces) return controller.close();
      taken++;
      controller.enqueue(new Uint8Array(size).fill(0x20));
    },
  });
  return { body, taken: () => taken };
}

describe('the body of a review', () => {
  test('is read whole, in whatever pieces it comes', async () => {
    const bodies = new ReviewBodies(forever);
    expect(await bodies.read(request('{"ä":1}'))).toBe('{"ä":1}');
    expect((await bodies.read(request(stream(1000, 1000).body))).length).toBe(1_000_000);
  });

  test('that only says it is too large is refused unread', async () => {
    const { body, taken } = stream(1, 10);
    const reading = new ReviewBodies(forever).read(request(body, { 'content-length': `${4 * MIB}` }));
    await expect(reading).rejects.toMatchObject({ status: 413 });
    expect(taken()).toBeLessThanOrEqual(1);
  });

  test('without a length is read no further than the limit', async () => {
    const { body, taken } = stream(1000, MIB);
    await expect(new ReviewBodies(forever).read(request(body))).rejects.toMatchObject({ status: 413 });
    expect(taken()).toBeLessThan(8);
  });

  test('that never ends is given up after a time, and let go', async () => {
    let letGo = false;
    const body = new ReadableStream({
      pull: () => new Promise(() => {}),
      cancel() {
        letGo = true;
      },
    });
    const reading = new ReviewBodies(async () => {}).read(request(body));
    await expect(reading).rejects.toMatchObject({ status: 408, message: 'the body did not come within 5 s' });
    expect(letGo).toBe(true);
  });

  test('is refused while too many others are being read, and taken after', async () => {
    const bodies = new ReviewBodies(forever);
    const controllers: ReadableStreamDefaultController[] = [];
    const allTaken = Promise.withResolvers<void>();
    let taken = 0;
    // ten of nearly 3 MiB leave room for less than 3 MiB
    const held = Array.from({ length: 10 }, () =>
      bodies.read(
        request(
          new ReadableStream({
            start(controller) {
              controllers.push(controller);
              controller.enqueue(new Uint8Array(3 * MIB - 10).fill(0x20));
            },
            pull() {
              if (++taken === 10) allTaken.resolve();
              return new Promise(() => {});
            },
          }),
        ),
      ),
    );
    await allTaken.promise;
    await expect(bodies.read(request(' '.repeat(3 * MIB)))).rejects.toMatchObject({ status: 503 });
    expect(await bodies.read(request('{}'))).toBe('{}');
    for (const controller of controllers) controller.close();
    await Promise.all(held);
    expect((await bodies.read(request(' '.repeat(3 * MIB)))).length).toBe(3 * MIB);
  });
});
