import { createHash } from 'node:crypto';

/** What the metadata API says to one request; the routes make it a Response. */
export interface Answer {
  readonly status: number;
  readonly contentType: ContentType;
  readonly body: string;
  /** Stays the same while the value does: what `last_etag` is compared with. */
  readonly etag?: string;
  /** Only what this answer has beyond the headers of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Ruby's client takes an identity token of no other type than `application/text` or `text/html`. */
export type ContentType = 'application/text' | 'application/json' | 'text/plain; charset=utf-8';

/**
 * 16 hexadecimal digits as on Compute Engine, and bare as there: clients put the header into `last_etag`
 * as it stands. Of a token it is a one-way digest.
 */
export function etagOf(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}

/** The headers of an answer: flavor and server are on every one of them, refusals included. */
export function headersOf(answer: Omit<Answer, 'body' | 'status'>): Record<string, string> {
  return {
    'Content-Type': answer.contentType,
    'Metadata-Flavor': 'Google',
    Server: 'GKE Metadata Server',
    ...(answer.etag === undefined ? {} : { ETag: answer.etag }),
    ...answer.headers,
  };
}
