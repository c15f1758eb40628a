/** A request body that is not accepted. The message is for whoever sent it. */
export class BodyRefused extends Error {
  constructor(
    readonly status: 400 | 408 | 413 | 415 | 503,
    message: string,
  ) {
    super(message);
  }
}
