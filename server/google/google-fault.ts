import { Fault, type FaultCode } from '../core/fault.ts';

/** What was asked of Google. */
export type GoogleOperation = 'federated token' | 'access token' | 'identity token';

export type GoogleFaultCode = Extract<
  FaultCode,
  'google-unavailable' | 'sts-refused' | 'iam-permission-denied' | 'google-account-missing' | 'iam-refused'
>;

interface GoogleFaultFacts {
  readonly operation: GoogleOperation;
  /** Undefined where no answer came. */
  readonly status?: number | undefined;
  readonly googleMessage?: string;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

const REMEDIES: Readonly<Record<GoogleFaultCode, string>> = {
  'google-unavailable':
    'Wait and ask again; where it lasts, check that the Node reaches the STS and IAM Credentials endpoints.',
  'sts-refused':
    "Compare the provider's issuer, JWKS, allowed audience and attribute condition with the cluster's tokens.",
  'iam-permission-denied':
    'Grant roles/iam.workloadIdentityUser on the Google service account to the principal of this Kubernetes ServiceAccount.',
  'google-account-missing':
    'Create the Google service account, or correct the annotation iam.gke.io/gcp-service-account.',
  'iam-refused':
    "Read Google's message: the scopes, the audience or the token duration asked for are not allowed.",
};

/** Google refused, or did not answer. Holds Google's own words, cleaned; never a token or a raw body. */
export class GoogleFault extends Fault {
  readonly operation: GoogleOperation;
  /** The HTTP status Google answered with; undefined where no answer came. */
  readonly status: number | undefined;
  /** The first line of Google's own message, printable and bounded; empty where there is none. */
  readonly googleMessage: string;
  /** The `Retry-After` of the answer in milliseconds, where there was one. */
  readonly retryAfter: number | undefined;

  constructor(code: GoogleFaultCode, facts: GoogleFaultFacts) {
    const { operation, status, googleMessage = '', retryAfter, cause } = facts;
    const answer = status === undefined ? 'no answer from Google' : `Google answered ${status}`;
    const words = googleMessage === '' ? '' : `: ${googleMessage}`;
    super(code, `${answer} when asked for the ${operation}${words}`, { remedy: REMEDIES[code], cause });
    this.name = 'GoogleFault';
    this.operation = operation;
    this.status = status;
    this.googleMessage = googleMessage;
    this.retryAfter = retryAfter;
  }
}
