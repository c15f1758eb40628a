import { STATUS_CODES } from 'node:http';
import type { Caller } from '../caller/caller.ts';
import { type AwsFaultCode, type AzureFaultCode, Fault, type FaultCode } from '../core/fault.ts';
import { Throttled } from '../credentials/exchange-limits.ts';
import { GoogleFault } from '../google/google-fault.ts';
import { HOST_NAMES } from './request-target.ts';
import type { MetadataResponse } from './response.ts';

/** The codes that a request of Google's protocol can fail with. */
type GoogleProtocolCode = Exclude<FaultCode, AwsFaultCode | AzureFaultCode>;

interface FaultRow {
  readonly status: number;
  readonly text: string | ((fault: Fault, caller: Caller | undefined) => string);
  /** Seconds; only if a retry may help. */
  readonly retryAfter?: number | ((fault: Fault) => number);
}

const INTERNAL_ERROR = 'Internal Server Error\n';
const KUBERNETES_TRY_AGAIN =
  'The Kubernetes API server, or a webhook that it asks, does not answer; try again.\n';

/** `IAM returned 403 Forbidden: …`, in GKE's words. */
function refusal(
  service: 'IAM' | 'STS',
  fault: Fault,
  otherwise: { status: number; message: string },
): string {
  const google = fault instanceof GoogleFault ? fault : undefined;
  const status = google?.status ?? otherwise.status;
  const message = google?.googleMessage || otherwise.message;
  const operation = google?.operation ?? 'access token';
  return `Unable to generate ${operation}; ${service} returned ${status} ${STATUS_CODES[status] ?? ''}: ${message}`;
}

/**
 * Status and text of every fault: transient ones are 503 with Retry-After, permanent ones 4xx. An identity token for a
 * ServiceAccount without a usable annotation is 404, never 400, 403 or 500: gcloud crashes on those, even for
 * `print-access-token`.
 */
const FAULTS: Readonly<Record<GoogleProtocolCode, FaultRow>> = {
  // never reaches a request
  'setting-invalid': { status: 500, text: INTERNAL_ERROR },
  'caller-unknown': {
    status: 404,
    text: 'No running Pod on this Node has this source IP.\n',
  },
  'caller-not-reported': {
    status: 503,
    retryAfter: 1,
    text: 'The Kubernetes API server reports no running Pod with this source IP yet; retry.\n',
  },
  'caller-forwarded': { status: 403, text: 'Requests with the header X-Forwarded-For are refused.\n' },
  'host-foreign': {
    status: 403,
    text: `Requests whose Host is another server's are refused. Use ${HOST_NAMES.join(', ')} or an IP address.\n`,
  },
  'caller-busy': {
    status: 503,
    retryAfter: 1,
    text: 'Too many requests at once from this Pod; try again.\n',
  },
  // 503 rather than 429: every client that retries anything retries 503, while Java's, Go's before compute/metadata 0.9
  // and others treat a 429 as final
  'caller-throttled': {
    status: 503,
    retryAfter: (fault) => (fault instanceof Throttled ? fault.retryAfterSeconds : 1),
    text: 'Too many requests for new tokens; ask again for those you have, or retry later.\n',
  },
  'node-without-service-account': {
    status: 404,
    text:
      'This Node has no Kubernetes service account for Pods on the host network.\n' +
      'Please annotate or label the Node with gke-metadata-server.matheuscscp.io/serviceAccountName and ' +
      'gke-metadata-server.matheuscscp.io/serviceAccountNamespace, or configure a default.\n',
  },
  'pod-without-service-account': {
    status: 404,
    text:
      'This Pod is a static Pod, and static Pods have no Kubernetes service account.\n' +
      "Run it as a DaemonSet, or on the host network, where it has the Node's.\n",
  },
  'stores-not-in-sync': { status: 503, retryAfter: 1, text: 'Not in sync with Kubernetes yet; try again.\n' },
  'kubernetes-unavailable': { status: 503, retryAfter: 2, text: KUBERNETES_TRY_AGAIN },
  'kubernetes-forbidden': {
    status: 403,
    text: 'The Kubernetes API server refused the metadata server; its RBAC or an admission policy does not allow this.\n',
  },
  'object-name-invalid': {
    status: 404,
    text: 'The Kubernetes service account of this Pod cannot exist: its name is not valid.\n',
  },
  'service-account-missing': {
    status: 404,
    text: 'The Kubernetes service account of this Pod does not exist.\n',
  },
  'bound-object-gone': { status: 404, text: 'The Pod of this connection is being deleted.\n' },
  'google-unavailable': { status: 503, retryAfter: 5, text: 'Google does not answer; try again.\n' },
  'sts-refused': {
    status: 403,
    text: (fault) => refusal('STS', fault, { status: 400, message: 'the Kubernetes token was refused.' }),
  },
  'sts-subject-too-long': {
    status: 403,
    text: (fault) =>
      refusal('STS', fault, {
        status: 400,
        message: 'The size of mapped attribute google.subject exceeds the 127 bytes limit.',
      }),
  },
  'iam-permission-denied': {
    status: 403,
    text: (fault) => `${refusal('IAM', fault, {
      status: 403,
      message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
    })}
This error could be caused by a missing IAM policy binding on the target IAM service account.
For more information, refer to the Workload Identity documentation:
	https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#authenticating_to`,
  },
  'quota-project-denied': {
    status: 403,
    text: (fault) =>
      refusal('IAM', fault, {
        status: 403,
        message: 'Caller does not have required permission to use the quota project.',
      }),
  },
  // GKE says here, too, that an IAM policy binding could be missing
  'google-api-disabled': {
    status: 403,
    text: (fault) =>
      refusal(fault instanceof GoogleFault && fault.operation === 'federated token' ? 'STS' : 'IAM', fault, {
        status: 403,
        message: 'the API is disabled.',
      }),
  },
  'google-account-missing': {
    status: 404,
    text: (fault) => refusal('IAM', fault, { status: 404, message: 'Requested entity was not found.' }),
  },
  'iam-refused': {
    status: 403,
    text: (fault) => refusal('IAM', fault, { status: 400, message: 'the request was refused.' }),
  },
  'account-annotation-missing': {
    status: 404,
    text: (
      _,
      caller,
    ) => `Your Kubernetes service account (${serviceAccountOf(caller)}) is not annotated with a target Google service account, which is a requirement for retrieving Identity Tokens using Workload Identity.
Please add the iam.gke.io/gcp-service-account=[GSA_NAME]@[PROJECT_ID] annotation to your Kubernetes service account.
Refer to https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity`,
  },
  'account-annotation-invalid': {
    status: 404,
    text: (_, caller) =>
      `The annotation iam.gke.io/gcp-service-account of your Kubernetes service account (${serviceAccountOf(caller)}) is not the email of a Google service account.\n`,
  },
  'quota-project-invalid': {
    status: 404,
    text: (_, caller) =>
      `The annotation iam.gke.io/credential-quota-project of your Kubernetes service account (${serviceAccountOf(caller)}) is not the ID or number of a Google Cloud project.\n`,
  },
  'audience-missing': { status: 400, text: 'non-empty audience parameter required' },
  // the message is about what the caller itself has sent
  'parameter-invalid': { status: 400, text: (fault) => `${fault.message}\n` },
};

function serviceAccountOf(caller: Caller | undefined): string {
  return caller === undefined
    ? 'ns/name'
    : `${caller.serviceAccount.namespace}/${caller.serviceAccount.name}`;
}

/** The response to a request that failed; of an error that is no Fault, nothing but that there was one. */
export function failureResponse(error: unknown, caller: Caller | undefined): MetadataResponse {
  const row = rowOf(error);
  if (row === undefined || !(error instanceof Fault))
    return { status: 500, contentType: 'application/text', body: INTERNAL_ERROR };
  const { status, text, retryAfter } = row;
  return {
    status,
    contentType: 'application/text',
    body: typeof text === 'string' ? text : text(error, caller),
    ...(retryAfter === undefined ? {} : { headers: { 'Retry-After': String(secondsOf(retryAfter, error)) } }),
  };
}

function secondsOf(retryAfter: number | ((fault: Fault) => number), fault: Fault): number {
  return typeof retryAfter === 'number' ? retryAfter : retryAfter(fault);
}

/** Whether the same request may succeed later, which a 503 says. */
export function isRetryable(error: unknown): boolean {
  return rowOf(error)?.retryAfter !== undefined;
}

function rowOf(error: unknown): FaultRow | undefined {
  if (!(error instanceof Fault)) return undefined;
  const rows: Readonly<Partial<Record<FaultCode, FaultRow>>> = FAULTS;
  return rows[error.code];
}
