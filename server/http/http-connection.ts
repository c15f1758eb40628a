import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Now } from '../core/effects.ts';
import { type BodyBudget, BodyRefused, type BodyShare } from './body-budget.ts';
import { RequestGate } from './request-gate.ts';

export interface HttpConnectionOptions {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Bytes. */
  readonly largestBody: number;
  readonly bodies: BodyBudget;
  /** Whether the listener is shutting down: responses then ask clients to close. */
  readonly isEnding: () => boolean;
  readonly now: Now;
}

// Milliseconds.
// Above the 90 s after which an API server closes a silent connection, so it never sends a review into one that is
// being closed here.
const IDLE = 120_000;
/** From the first byte of a request to the end of its head. */
const HEAD = 10_000;
/** From there until the response is sent: the limits for body and response are below it. */
const EXCHANGE = 20_000;
/** For a client to close, after its last response and its whole request. */
const LINGER = 1000;
/**
 * A client that is still sending when the connection ends gets a reset, and may never see its response. So first the
 * rest of a refused body is read and dropped, for as long as an exchange may take, if it is not more than so many
 * times the largest body.
 */
const MOST_DROPPED = 4;

type State = 'idle' | 'head' | 'exchange' | 'closing';

/**
 * One connection: one request at a time, each step with a deadline, and each byte of a body or a response within the
 * budget. A response that is sent before the body has arrived ends the connection: the rest is dropped.
 */
export class HttpConnection {
  #state: State = 'idle';
  #deadline: number;
  #gate: RequestGate | undefined;
  /** Of the request that is being answered. */
  #share: BodyShare | undefined;
  #answered: (() => void) | undefined;

  constructor(
    readonly peer: string,
    private readonly socket: Socket,
    private readonly options: HttpConnectionOptions,
  ) {
    this.#deadline = options.now() + IDLE;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#share?.close();
      this.#answered?.();
    });
  }

  /** What node:http reads. */
  open(): RequestGate {
    const gate = new RequestGate(this.socket, {
      begun: () => this.#enter('head', HEAD),
      headTooLarge: () => this.refuse('431 Request Header Fields Too Large'),
      bodyDropped: () => {
        if (this.#state === 'closing') this.#endNow();
      },
    });
    this.#gate = gate;
    return gate;
  }

  get isIdle(): boolean {
    return this.#state === 'idle' || this.#state === 'head';
  }

  destroy(): void {
    this.socket.destroy();
  }

  destroyIfLate(): void {
    if (this.options.now() > this.#deadline) this.destroy();
  }

  /** Refuses what is not a valid request. */
  refuse(status: string): void {
    if (this.isIdle && this.socket.writable) {
      this.#end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else {
      this.destroy();
    }
  }

  /** Ends it unless a request is in progress. */
  endIfIdle(): void {
    if (this.isIdle) this.#end();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#enter('exchange', EXCHANGE);
    const share = this.options.bodies.open(this.peer);
    this.#share = share;
    try {
      let answer = await this.#responseTo(request, share);
      let body = Buffer.from(await answer.arrayBuffer());
      // it takes the place of the body, and waits for a client that does not read it
      if (body.length > share.bytes && !share.grow(body.length - share.bytes)) {
        answer = new Response(null, { status: 503 });
        body = Buffer.alloc(0);
      }
      const isLast = !request.complete || this.options.isEnding();
      if (isLast) answer.headers.set('connection', 'close');
      answer.headers.set('content-length', `${body.length}`);
      if (isLast) this.#gate?.close();
      else this.#gate?.next();
      await this.#send(answer, body, response);
      if (isLast) this.#end();
    } finally {
      share.close();
    }
  }

  async #responseTo(incoming: IncomingMessage, share: BodyShare): Promise<Response> {
    if (incoming.headers['transfer-encoding'] !== undefined) {
      return new Response('expected a Content-Length\n', { status: 411 });
    }
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
    const length = Number(incoming.headers['content-length'] ?? 0);
    const { largestBody } = this.options;
    let isOver = false;
    return new ReadableStream({
      start: (controller) => {
        const fail = (error: BodyRefused) => {
          if (!isOver) controller.error(error);
          isOver = true;
        };
        if (length > largestBody) {
          fail(new BodyRefused(403, `the body is larger than ${largestBody} bytes`));
          this.#gate?.dropBody(length);
          return;
        }
        incoming.on('data', (chunk: Buffer) => {
          if (isOver) return;
          if (share.grow(chunk.length)) controller.enqueue(chunk);
          else fail(new BodyRefused(503, 'too many bodies at a time: retry'));
        });
        incoming.on('end', () => {
          if (!isOver) controller.close();
          isOver = true;
        });
        incoming.on('error', () => {});
        incoming.on('close', () => fail(new BodyRefused(400, 'the connection ended before the body')));
        this.#gate?.expectBody(length);
      },
      cancel: () => {
        isOver = true;
      },
    });
  }

  /** Resolves when the client has taken it, or has gone. */
  async #send(answer: Response, body: Buffer, response: ServerResponse): Promise<void> {
    const isSent = new Promise<void>((resolve) => {
      this.#answered = () => {
        if (this.#state === 'exchange') this.#enter('idle', IDLE);
        resolve();
      };
    });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(body, this.#answered);
    await isSent;
  }

  #enter(state: State, limit: number): void {
    this.#state = state;
    this.#deadline = this.options.now() + limit;
  }

  #end(last?: string): void {
    const left = this.#gate?.bodyLeft ?? 0;
    this.#gate?.close();
    if (left > 0 && left <= MOST_DROPPED * this.options.largestBody) this.#enter('closing', EXCHANGE);
    else this.#endNow(last);
  }

  #endNow(last = ''): void {
    this.#enter('closing', LINGER);
    this.socket.end(last);
  }
}

function requestOf({ method = 'GET', url = '/', headers }: IncomingMessage, body: ReadableStream): Request {
  const entries = Object.entries(headers).map(([name, value]): [string, string] => [name, `${value}`]);
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request(`http://localhost${url}`, { method, headers: entries, ...(hasBody ? { body } : {}) });
}
