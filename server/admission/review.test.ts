import { describe, expect, test } from 'bun:test';
import type { Sleep } from '../core/effects.ts';
import { readReview } from './review.ts';

const MIB = 1024 * 1024;
const forever: Sleep = () => new Promise(() => {});

const text = async (request: Request, sleep = forever) =>
  new TextDecoder().decode(await readReview(request, sleep));

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
    expect(await text(request('{"ä":1}'))).toBe('{"ä":1}');
    expect((await text(request(stream(1000, 1000).body))).length).toBe(1_000_000);
  });

  test('that only says it is too large is refused unread', async () => {
    const { body, taken } = stream(1, 10);
    const reading = text(request(body, { 'content-length': `${4 * MIB}` }));
    await expect(reading).rejects.toMatchObject({ status: 403 });
    expect(taken()).toBeLessThanOrEqual(1);
  });

  test('without a length is read no further than the limit', async () => {
    const { body, taken } = stream(1000, MIB);
    await expect(text(request(body))).rejects.toMatchObject({ status: 403 });
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
    const reading = text(request(body), async () => {});
    await expect(reading).rejects.toMatchObject({
      status: 408,
      message: 'the body did not arrive within 5 s',
    });
    expect(letGo).toBe(true);
  });

  test.each([
    ['nested too deep', `${'['.repeat(65)}${']'.repeat(65)}`, 'it is nested deeper than 64'],
    ['of too many values', `[${'{},'.repeat(80_000)}{}]`, 'it has more than 150000 values'],
  ])('that is %s is refused before it is parsed', async (_, body, excess) => {
    await expect(text(request(body))).rejects.toMatchObject({
      status: 403,
      message: `the review is too large: ${excess}`,
    });
  });
});
