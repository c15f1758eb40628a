/**
 * Every known way that a request can fail. The table of the metadata API (metadata/faults.ts) maps a code to a status
 * and a text; a code without a row there does not compile.
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
  | 'pod-without-service-account'
  | 'stores-not-in-sync'
  // Kubernetes
  | 'kubernetes-unavailable'
  | 'kubernetes-forbidden'
  | 'object-name-invalid'
  | 'service-account-missing'
  | 'bound-object-gone'
  | GoogleFaultCode
  | AzureFaultCode
  | AwsFaultCode
  // what the caller asked for
  | 'account-annotation-missing'
  | 'account-annotation-invalid'
  | 'quota-project-invalid'
  | 'audience-missing'
  | 'parameter-invalid';

/** Those that only a request for a Google token can fail with. */
export type GoogleFaultCode =
  | 'google-unavailable'
  | 'sts-refused'
  | 'sts-subject-too-long'
  | 'iam-permission-denied'
  | 'quota-project-denied'
  | 'google-api-disabled'
  | 'google-account-missing'
  | 'iam-refused';

/** Those that only a request for an Azure token can fail with. */
export type AzureFaultCode =
  | 'azure-identity-missing'
  | 'azure-identity-invalid'
  | 'entra-unavailable'
  | 'entra-refused';

/** Those that only a request for AWS credentials can fail with. */
export type AwsFaultCode =
  | 'aws-role-missing'
  | 'aws-role-invalid'
  | 'aws-sts-unavailable'
  | 'aws-sts-refused';

/**
 * A failure with a stable code. The message says what failed, where and with which value; `remedy` says what a person can
 * do about it. Neither ever contains a token.
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
