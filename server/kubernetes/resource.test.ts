import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { jsonLines } from './resource.ts';

async function read(chunks: readonly (string | Uint8Array)[], mostBytes = 100): Promise<unknown[]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
  const lines: unknown[] = [];
  for await (const line of jsonLines(body, mostBytes)) lines.push(line);
  return lines;
}

describe('jsonLines', () => {
  test('many lines in a chunk, a line in many chunks, characters cut in two', async () => {
    const [high = 0, ...rest] = new TextEncoder().encode('é');
    const cut = [Uint8Array.from([34, high]), Uint8Array.from([...rest, 34, 10])];
    expect(await read(['{"a":1}\n{"a"', ':2', '}\n\n', ...cut, '3\n'])).toEqual([{ a: 1 }, { a: 2 }, 'é', 3]);
  });

  test('what the connection cut off is dropped', async () => {
    expect(await read(['1\n{"half'])).toEqual([1]);
  });

  test.each([
    { chunks: ['not json\n'] },
    { chunks: [`"${'x'.repeat(200)}"\n`] },
    { chunks: ['"', 'x'.repeat(99), 'x'] },
  ])('throws on %j', async ({ chunks }) => {
    const error = await read(chunks).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Fault);
  });

  test('cancels the body when nobody reads on', async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('1\n')),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const _ of jsonLines(body, 100)) break;
    expect(cancelled).toBe(true);
  });
});
