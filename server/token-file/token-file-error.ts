export type TokenFileErrorCode = 'token-unavailable' | 'token-refused' | 'token-file-not-written';

/** Why there is no new token in the file; `remedy` says what a person should look at. Neither contains a token. */
export class TokenFileError extends Error {
  readonly code: TokenFileErrorCode;
  readonly remedy: string;
  /** The least time until the next attempt, in milliseconds, as the server asks for it. */
  readonly retryAfter: number;

  constructor(code: TokenFileErrorCode, message: string, options: { remedy: string; retryAfter?: number }) {
    super(message);
    this.name = 'TokenFileError';
    this.code = code;
    this.remedy = options.remedy;
    this.retryAfter = options.retryAfter ?? 0;
  }
}
