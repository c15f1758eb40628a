import { expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { type AwsFaultCode, type AzureFaultCode, Fault, type FaultCode } from '../core/fault.ts';
import { Throttled } from '../credentials/exchange-limits.ts';
import { GoogleFault } from '../google/google-fault.ts';
import { annotated, EMAIL, fault } from '../testing/fake-metadata.ts';
import { failureResponse, isRetryable } from './faults.ts';

const CALLER: Caller = {
  serviceAccount: { namespace: 'shop', name: 'checkout', uid: 'sa-1', annotations: annotated(EMAIL) },
  boundTo: { kind: 'Pod', name: 'p', uid: 'p-1' },
};

const STATUS: Readonly<Record<Exclude<FaultCode, AwsFaultCode | AzureFaultCode>, number>> = {
  'setting-invalid': 500,
  'caller-unknown': 404,
  'caller-not-reported': 503,
  'caller-forwarded': 403,
  'host-foreign': 403,
  'caller-busy': 503,
  'caller-throttled': 503,
  'node-without-service-account': 404,
  'stores-not-in-sync': 503,
  'kubernetes-unavailable': 503,
  'kubernetes-forbidden': 403,
  'pod-without-service-account': 404,
  'object-name-invalid': 404,
  'service-account-missing': 404,
  'bound-object-gone': 404,
  'google-unavailable': 503,
  'sts-refused': 403,
  'sts-subject-too-long': 403,
  'iam-permission-denied': 403,
  'quota-project-denied': 403,
  'google-api-disabled': 403,
  'quota-project-invalid': 404,
  'google-account-missing': 404,
  'iam-refused': 403,
  'account-annotation-missing': 404,
  'account-annotation-invalid': 404,
  'audience-missing': 400,
  'parameter-invalid': 400,
};

// every key of the Record is a code
const CODES = Object.keys(STATUS) as (keyof typeof STATUS)[];

test.each(CODES)('%s: its status, Retry-After if it is transient, and no internal message', (code) => {
  const { status, body, headers, contentType } = failureResponse(fault(code), CALLER);
  expect(status).toBe(STATUS[code]);
  expect(headers?.['Retry-After'] !== undefined).toBe(status === 503);
  expect(isRetryable(fault(code))).toBe(status === 503);
  expect(contentType).toBe('application/text');
  if (code !== 'parameter-invalid') expect(body).not.toContain('an inside message');
});

test('a caller over its rate gets a Retry-After', () => {
  const { status, headers } = failureResponse(new Throttled('too fast', 12), CALLER);
  expect([status, headers?.['Retry-After']]).toEqual([503, '12']);
});

test('an error that is not a Fault is a fixed text', () => {
  for (const error of [new Error('/var/run/secrets'), 'text', undefined]) {
    expect(failureResponse(error, CALLER)).toEqual({
      status: 500,
      contentType: 'application/text',
      body: 'Internal Server Error\n',
    });
  }
});

const DENIED = `Unable to generate access token; IAM returned 403 Forbidden: Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).
This error could be caused by a missing IAM policy binding on the target IAM service account.
For more information, refer to the Workload Identity documentation:
\thttps://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#authenticating_to`;

test("IAM's refusal is GKE's text, word for word", () => {
  expect(failureResponse(fault('iam-permission-denied'), CALLER).body).toBe(DENIED);
  const denied = new GoogleFault('iam-permission-denied', {
    operation: 'identity token',
    status: 403,
    googleMessage:
      "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource (or it may not exist).",
  });
  expect(failureResponse(denied, CALLER).body).toBe(
    DENIED.replace('access token', 'identity token').replace('getAccessToken', 'getOpenIdToken'),
  );
});

test("an account that is missing is GKE's text", () => {
  const missing =
    'Unable to generate access token; IAM returned 404 Not Found: Requested entity was not found.';
  expect(failureResponse(fault('google-account-missing'), CALLER).body).toBe(missing);
});

test('a refusal of STS says what Google said', () => {
  const refused = new GoogleFault('sts-refused', {
    operation: 'federated token',
    status: 400,
    googleMessage: 'The audience in ID Token does not match the expected audience.',
  });
  expect(failureResponse(refused, CALLER).body).toBe(
    'Unable to generate federated token; STS returned 400 Bad Request: The audience in ID Token does not match the expected audience.',
  );
});

test.each([
  ['federated token', 'STS'],
  ['identity token', 'IAM'],
] as const)('a disabled API, for a %s, is of %s, and no word of a missing grant', (operation, service) => {
  const googleMessage = 'API has not been used in project 1 before or it is disabled.';
  const disabled = new GoogleFault('google-api-disabled', { operation, status: 403, googleMessage });
  expect(failureResponse(disabled, CALLER).body).toBe(
    `Unable to generate ${operation}; ${service} returned 403 Forbidden: ${googleMessage}`,
  );
});

test("an identity token without an annotation is GKE's text, with the caller's ServiceAccount", () => {
  expect(
    failureResponse(fault('account-annotation-missing'), CALLER).body,
  ).toBe(`Your Kubernetes service account (shop/checkout) is not annotated with a target Google service account, which is a requirement for retrieving Identity Tokens using Workload Identity.
Please add the iam.gke.io/gcp-service-account=[GSA_NAME]@[PROJECT_ID] annotation to your Kubernetes service account.
Refer to https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity`);
});

test("the caller's own mistakes are reported to it", () => {
  const invalid = new Fault('parameter-invalid', 'timeout_sec must be digits', { remedy: '' });
  expect(failureResponse(invalid, CALLER).body).toBe('timeout_sec must be digits\n');
});
