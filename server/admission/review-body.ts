import type { Sleep } from '../core/effects.ts';
import { withTimeLimit } from '../core/time-limit.ts';

/** A body that is not taken; the message is for whoever sent it. */
export class BodyRefused extends Error {
  constructor(
    readonly status: 408 | 413 | 415 | 503,
    message: string,
  ) {
    super(message);
  }
}

/** An object is at most 1.5 MiB in etcd; a review holds two of them at most, and little else. */
const LARGEST_BODY_BYTES = 3 * 1024 * 1024;
/** Of all bodies that are being read at a time: any Pod can connect, and only so much memory may be theirs. */
const MOST_BYTES = 32 * 1024 * 1024;
const TIME_LIMIT_MILLISECONDS = 5000;

/** Reads the bodies of reviews, each and all together within bounds. */
export class ReviewBodies {
  #bytes = 0;

  constructor(private readonly sleep: Sleep) {}

  /** The body's text. Throws {@link BodyRefused}; what is too large is never taken whole. */
  async read(request: Request): Promise<string> {
    const [type = ''] = (request.headers.get('content-type') ?? '').split(';', 1);
    if (type.trim().toLowerCase() !== 'application/json') {
      throw new BodyRefused(415, 'expected a body of content type application/json');
    }
    if (Number(request.headers.get('content-length')) > LARGEST_BODY_BYTES) throw tooLarge();
    const { body } = request;
    if (body === null) return '';
    const late = () =>
      new BodyRefused(408, `the body did not come within ${TIME_LIMIT_MILLISECONDS / 1000} s`);
    return withTimeLimit(this.sleep, TIME_LIMIT_MILLISECONDS, late, undefined, (signal) =>
      this.#readAll(body, signal),
    );
  }

  async #readAll(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
    const reader = body.getReader();
    signal.addEventListener('abort', () => reader.cancel().catch(() => {}), { once: true });
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for (;;) {
        const { value } = await reader.read();
        if (value === undefined) return Buffer.concat(chunks).toString();
        length += value.length;
        this.#bytes += value.length;
        if (length > LARGEST_BODY_BYTES) throw tooLarge();
        if (this.#bytes > MOST_BYTES) throw new BodyRefused(503, 'too many bodies at a time: try again');
        chunks.push(value);
      }
    } finally {
      this.#bytes -= length;
      reader.cancel().catch(() => {});
    }
  }
}

function tooLarge(): BodyRefused {
  return new BodyRefused(413, `the body is larger than ${LARGEST_BODY_BYTES} bytes`);
}
