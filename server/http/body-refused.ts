/**
 * A request body that is not accepted. The message is for whoever sent it. One that is too large is 403, not 413: an API
 * server hands on the text of a 403, and of a 413 only that there was one.
 */
export class BodyRefused extends Error {
  constructor(
    readonly status: 400 | 408 | 403 | 415 | 503,
    message: string,
  ) {
    super(message);
  }
}
