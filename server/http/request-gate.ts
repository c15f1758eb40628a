import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes, of a request's line and headers. */
export const LARGEST_HEAD = 16 * 1024;
const END_OF_HEAD = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);

interface RequestGateEvents {
  /** The first bytes of a request have come. */
  begun(): void;
  /** Its head is larger than {@link LARGEST_HEAD}. */
  headTooLarge(): void;
  /** After {@link RequestGate.close}: all of the body has come. */
  bodyDropped(): void;
}

/**
 * A connection as node:http reads it: the head of one request, then as much of a body as {@link expectBody} says, then
 * nothing until {@link next}. node:http by itself parses all that has come, and makes objects of it: thousands, if
 * somebody sends thousands of requests without waiting. Here the second one ends the connection.
 */
export class RequestGate extends Duplex {
  #step: 'head' | 'decision' | 'body' | 'answer' | 'over' = 'head';
  /** What has come and was not handed on. */
  #kept: Buffer = NOTHING;
  #bodyLeft = 0;
  #isHandingOn = false;

  constructor(
    private readonly socket: Socket,
    private readonly events: RequestGateEvents,
  ) {
    super();
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
    this.on('error', () => {});
  }

  /** After a head has been read: passes on a body of so many bytes. */
  expectBody(length: number): void {
    this.#step = 'body';
    this.#bodyLeft = length;
    // the parser is not through with the head while it hands out the request
    if (!this.#isHandingOn) this.#takeKept();
  }

  /** The request is answered, and the next may come. */
  next(): void {
    this.#step = 'head';
  }

  /** Bytes of the body that have not come yet. */
  get bodyLeft(): number {
    return this.#bodyLeft;
  }

  /** Drops all further bytes: no request follows. */
  close(): void {
    this.#step = 'over';
    this.#kept = NOTHING;
  }

  /** After a head has been read: as {@link close}, and drops a body of so many bytes. */
  dropBody(length: number): void {
    this.#bodyLeft = Math.max(0, length - this.#kept.length);
    this.close();
  }

  override _read(): void {}

  override _write(bytes: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(bytes, done);
  }

  /** node:http ends a connection after a last response; once it is closed here, its owner does, who knows when. */
  override _final(done: () => void): void {
    if (this.#step === 'over') done();
    else this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  #take(bytes: Buffer): void {
    if (this.#step === 'head') this.#takeHead(bytes);
    else if (this.#step === 'decision') this.#keep(bytes);
    else if (this.#step === 'body') this.#takeBody(bytes);
    else if (this.#step === 'answer') this.destroy();
    else this.#drop(bytes);
  }

  #takeHead(bytes: Buffer): void {
    if (this.#kept.length === 0) this.events.begun();
    this.#keep(bytes);
    const end = this.#kept.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
    const isWhole = end >= END_OF_HEAD.length;
    if (isWhole ? end > LARGEST_HEAD : this.#kept.length > LARGEST_HEAD) {
      this.events.headTooLarge();
    } else if (isWhole) {
      const head = this.#kept.subarray(0, end);
      this.#kept = this.#kept.subarray(end);
      this.#handOn(head);
      if (this.#step === 'body') this.#takeKept();
    }
  }

  #takeBody(bytes: Buffer): void {
    if (bytes.length > this.#bodyLeft) {
      this.destroy();
      return;
    }
    this.#bodyLeft -= bytes.length;
    if (this.#bodyLeft === 0) this.#step = 'answer';
    if (bytes.length > 0) this.push(bytes);
  }

  #drop(bytes: Buffer): void {
    if (this.#bodyLeft === 0) return;
    this.#bodyLeft = Math.max(0, this.#bodyLeft - bytes.length);
    if (this.#bodyLeft === 0) this.events.bodyDropped();
  }

  #handOn(head: Buffer): void {
    this.#step = 'decision';
    this.#isHandingOn = true;
    this.push(head);
    this.#isHandingOn = false;
  }

  #takeKept(): void {
    const kept = this.#kept;
    this.#kept = NOTHING;
    this.#takeBody(kept);
  }

  #keep(bytes: Buffer): void {
    this.#kept = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
  }
}
