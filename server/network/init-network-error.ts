type InitNetworkErrorCode = 'redirect-failed' | 'server-not-ready';

/** Why the Pod's network is not ready; `remedy` says what a person should look at. */
export class InitNetworkError extends Error {
  readonly code: InitNetworkErrorCode;
  readonly remedy: string;

  constructor(code: InitNetworkErrorCode, message: string, remedy: string) {
    super(message);
    this.name = 'InitNetworkError';
    this.code = code;
    this.remedy = remedy;
  }
}
