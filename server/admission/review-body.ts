import type { Sleep } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import { BodyRefused } from '../http/body-budget.ts';
import { excessOf } from '../http/json-bounds.ts';

/** Bytes. An object is at most 1.5 MiB in etcd; a review holds two of them at most, and little else. */
export const LARGEST_REVIEW = 3 * 1024 * 1024;
/** A Pod with 100 containers of 100 variables each, with its managedFields, has 100,000 values at a depth of 12. */
const JSON_BOUNDS = { depth: 64, values: 150_000 };
/** Milliseconds. */
const TIME_LIMIT = 5000;

/** The body of a review, to be parsed: its size, depth and number of values are bounded. Throws {@link BodyRefused}. */
export async function readReview(request: Request, sleep: Sleep): Promise<Uint8Array> {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== 'application/json') {
    throw new BodyRefused(415, 'expected a body of content type application/json');
  }
  if (Number(request.headers.get('content-length')) > LARGEST_REVIEW) throw tooLarge();
  const { body } = request;
  if (body === null) return new Uint8Array();
  const late = () => new BodyRefused(408, `the body did not arrive within ${TIME_LIMIT / 1000} s`);
  const json = await withTimeLimit(sleep, TIME_LIMIT, late, undefined, (signal) => readAll(body, signal));
  const excess = excessOf(json, JSON_BOUNDS);
  if (excess !== undefined) throw new BodyRefused(403, `the review is too large: ${excess}`);
  return json;
}

/** What is too large is never read whole. */
async function readAll(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const reader = body.getReader();
  signal.addEventListener('abort', () => reader.cancel().catch(() => {}), { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
      length += value.length;
      if (length > LARGEST_REVIEW) throw tooLarge();
      chunks.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function tooLarge(): BodyRefused {
  return new BodyRefused(403, `the body is larger than ${LARGEST_REVIEW} bytes`);
}
