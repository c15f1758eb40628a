import type { GoogleFaultCode } from '../core/fault.ts';
import { UpstreamFault } from '../credentials/failure.ts';

/** What Google was asked for. */
export type GoogleOperation = 'federated token' | 'access token' | 'identity token';

interface GoogleFaultFacts {
  readonly operation: GoogleOperation;
  /** Undefined if there was no response. */
  readonly status?: number | undefined;
  readonly googleMessage?: string;
  readonly retryAfter?: number | undefined;
  /** By default that of the code. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

const REMEDIES: Readonly<Record<GoogleFaultCode, string>> = {
  'google-unavailable':
    'Retry. If this persists, check that the Node can reach the STS and IAM Credentials endpoints.',
  'sts-refused':
    "Compare the provider's issuer, JWKS, allowed audience and attribute condition with the cluster's tokens.",
  'sts-subject-too-long':
    'Shorten the name of the Namespace or ServiceAccount: system:serviceaccount:NAMESPACE:NAME may have 127 bytes, which ' +
    'leaves 104 for both names. Or map google.subject to something shorter and grant roles to that principal.',
  'iam-permission-denied':
    'Grant roles/iam.workloadIdentityUser on the Google service account to the principal of this Kubernetes ServiceAccount.',
  'quota-project-denied':
    'Grant roles/serviceusage.serviceUsageConsumer on the project in the annotation iam.gke.io/credential-quota-project to ' +
    'the principal of this Kubernetes ServiceAccount, or remove the annotation.',
  'google-api-disabled':
    'Enable the API in the project that the message names: gcloud services enable sts.googleapis.com ' +
    'iamcredentials.googleapis.com --project PROJECT. It takes some minutes to have an effect.',
  'google-account-missing':
    'Create the Google service account, or correct the annotation iam.gke.io/gcp-service-account.',
  'iam-refused':
    "Read Google's message: the scopes, the audience or the token duration asked for are not allowed.",
};

/** Google refused, or did not respond. Holds Google's own message, redacted; never a token or a raw body. */
export class GoogleFault extends UpstreamFault {
  readonly operation: GoogleOperation;
  /** The first line of Google's own message, printable and bounded; empty if there is none. */
  readonly googleMessage: string;

  constructor(code: GoogleFaultCode, facts: GoogleFaultFacts) {
    const { operation, status, googleMessage = '', retryAfter, remedy = REMEDIES[code], cause } = facts;
    const answer = status === undefined ? 'no answer from Google' : `Google answered ${status}`;
    const words = googleMessage === '' ? '' : `: ${googleMessage}`;
    super(code, `${answer} when asked for the ${operation}${words}`, {
      remedy,
      transient: code === 'google-unavailable',
      status,
      retryAfter,
      cause,
    });
    this.name = 'GoogleFault';
    this.operation = operation;
    this.googleMessage = googleMessage;
  }
}
