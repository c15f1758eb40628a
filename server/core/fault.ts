/**
 * Every way a request can fail that this program knows of. The metadata API's
 * table (metadata/faults.ts) turns a code into a status and a text; a code
 * without a row there does not compile.
 */
export type FaultCode =
  // settings
  | 'setting-invalid'
  // the caller
  | 'caller-unknown'
  | 'caller-not-reported'
  | 'caller-forwarded'
  | 'host-foreign'
  | 'caller-busy'
  | 'caller-throttled'
  | 'node-without-service-account'
  | 'stores-not-in-sync'
  // Kubernetes
  | 'kubernetes-unavailable'
  | 'kubernetes-forbidden'
  | 'object-name-invalid'
  | 'service-account-missing'
  | 'bound-object-gone'
  // Google
  | 'google-unavailable'
  | 'sts-refused'
  | 'sts-subject-too-long'
  | 'iam-permission-denied'
  | 'quota-project-denied'
  | 'google-api-disabled'
  | 'google-account-missing'
  | 'iam-refused'
  // what the caller asked for
  | 'account-annotation-missing'
  | 'account-annotation-invalid'
  | 'quota-project-invalid'
  | 'audience-missing'
  | 'parameter-invalid';

/**
 * A failure with a stable code. The message says what, where and with which
 * value; `remedy` says what a person can do about it. Neither ever holds a token.
 */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly remedy: string;

  constructor(code: FaultCode, message: string, options: { remedy: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.code = code;
    this.remedy = options.remedy;
  }
}
