import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Now } from '../core/effects.ts';
import type { BodyBudget, BodyShare } from './body-budget.ts';
import { BodyRefused } from './body-refused.ts';

export interface TlsConnectionOptions {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Bytes. */
  readonly largestBody: number;
  readonly bodies: BodyBudget;
  /** Whether the listener is ending: clients are then told to close. */
  readonly isEnding: () => boolean;
  readonly now: Now;
}

// Milliseconds.
// Above the 90 s after which an API server itself closes a silent connection, so that it never sends a review into
// one that is just being closed here.
const IDLE = 120_000;
/** From the first byte of a request to the end of its headers. */
const HEADERS = 10_000;
/** From there until the answer is sent: the body's limit and that of the answer lie below it. */
const EXCHANGE = 20_000;
/** For a client to close, once it has its last answer. */
const LINGER = 1000;

type State = 'idle' | 'headers' | 'exchange' | 'closing';

/**
 * One connection: one request at a time, each step with a deadline, and nothing of a body kept that is not in the
 * budget. A request that is answered before its body has come ends the connection, so that the rest is not read.
 */
export class TlsConnection {
  #state: State = 'idle';
  #deadline: number;
  /** Of the request that is being answered. */
  #share: BodyShare | undefined;
  #answered: (() => void) | undefined;

  constructor(
    readonly peer: string,
    private readonly socket: TLSSocket,
    private readonly options: TlsConnectionOptions,
  ) {
    this.#deadline = options.now() + IDLE;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#share?.close();
      this.#answered?.();
    });
  }

  get isIdle(): boolean {
    return this.#state === 'idle' || this.#state === 'headers';
  }

  destroy(): void {
    this.socket.destroy();
  }

  destroyIfLate(): void {
    if (this.options.now() > this.#deadline) this.destroy();
  }

  /** Bytes have come. */
  received(): void {
    if (this.#state === 'idle') this.#enter('headers', HEADERS);
  }

  /** What came is not HTTP, or too much of it. */
  refuse(status: string): void {
    if (this.isIdle && this.socket.writable) {
      this.#end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else {
      this.destroy();
    }
  }

  /** Ends it once it is idle. */
  endIfIdle(): void {
    if (this.isIdle) this.#end();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // no API server sends a request before it has read the last answer
    if (!this.isIdle || this.socket.writableLength > 0) {
      this.destroy();
      return;
    }
    this.#enter('exchange', EXCHANGE);
    const share = this.options.bodies.open(this.peer);
    this.#share = share;
    try {
      const answer = await this.#answerTo(request, share);
      const body = Buffer.from(await answer.arrayBuffer());
      const isLast = !request.complete || this.options.isEnding();
      if (isLast) answer.headers.set('connection', 'close');
      answer.headers.set('content-length', `${body.length}`);
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      const sent = new Promise<void>((resolve) => {
        this.#answered = resolve;
      });
      response.end(body, this.#answered);
      await sent;
      if (isLast) this.#end();
      else this.#enter('idle', IDLE);
    } finally {
      share.close();
    }
  }

  async #answerTo(incoming: IncomingMessage, share: BodyShare): Promise<Response> {
    const body = this.#bodyOf(incoming, share);
    let request: Request;
    try {
      request = requestOf(incoming, body);
    } catch {
      return new Response('Bad Request\n', { status: 400 });
    }
    try {
      return await this.options.fetch(request);
    } catch {
      return new Response('Internal Server Error\n', { status: 500 });
    }
  }

  /** Keeps what comes within the budget. What comes after a refusal is let go. */
  #bodyOf(incoming: IncomingMessage, share: BodyShare): ReadableStream<Uint8Array> {
    let length = 0;
    let isOver = false;
    return new ReadableStream({
      start: (controller) => {
        const fail = (error: BodyRefused) => {
          isOver = true;
          controller.error(error);
        };
        incoming.on('data', (chunk: Buffer) => {
          if (isOver) return;
          length += chunk.length;
          if (length > this.options.largestBody) {
            fail(new BodyRefused(413, `the body is larger than ${this.options.largestBody} bytes`));
          } else if (!share.grow(chunk.length)) {
            fail(new BodyRefused(503, 'too many bodies at a time: retry'));
          } else {
            controller.enqueue(chunk);
          }
        });
        incoming.on('end', () => {
          if (!isOver) controller.close();
          isOver = true;
        });
        incoming.on('error', () => {});
        incoming.on('close', () => {
          if (!isOver) fail(new BodyRefused(400, 'the connection ended before the body'));
        });
      },
      cancel: () => {
        isOver = true;
      },
    });
  }

  #enter(state: State, limit: number): void {
    this.#state = state;
    this.#deadline = this.options.now() + limit;
  }

  #end(last?: string): void {
    this.#enter('closing', LINGER);
    if (last === undefined) this.socket.end();
    else this.socket.end(last);
  }
}

function requestOf({ method = 'GET', url = '/', headers }: IncomingMessage, body: ReadableStream): Request {
  const entries = Object.entries(headers).map(([name, value]): [string, string] => [name, `${value}`]);
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request(`https://webhook${url}`, { method, headers: entries, ...(hasBody ? { body } : {}) });
}
