import type { Caller } from '../caller/caller.ts';
import type { CloudAnnotations } from '../caller/service-accounts.ts';
import { Fault } from '../core/fault.ts';
import { escaped } from '../core/printable.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

declare const brand: unique symbol;

/**
 * The email of a Google service account. Project accounts, domain-scoped projects
 * (`NAME@DOMAIN.COM.PROJECT.iam.gserviceaccount.com`), the Compute Engine default
 * (`NUM-compute@developer.gserviceaccount.com`) and App Engine's
 * (`PROJECT@appspot.gserviceaccount.com`) are all valid.
 */
export type GoogleServiceAccountEmail = string & { readonly [brand]: 'GoogleServiceAccountEmail' };

// Google's services accept any *.gserviceaccount.com account; the allowed characters keep the
// value harmless in a URL path. At most 254 characters, RFC 5321.
const PATTERN =
  /^[a-z0-9](?:[a-z0-9._-]{0,126})@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}gserviceaccount\.com$/;

/** The email, or undefined if `value` is not the email of a Google service account. */
export function parseGoogleServiceAccountEmail(value: string): GoogleServiceAccountEmail | undefined {
  // the pattern is the proof of the brand
  return value.length <= 254 && PATTERN.test(value) ? (value as GoogleServiceAccountEmail) : undefined;
}

/** The ID or number of a Google Cloud project. */
type QuotaProject = string & { readonly [brand]: 'QuotaProject' };

// https://cloud.google.com/resource-manager/docs/creating-managing-projects: 6 to 30 characters; older projects of an
// organisation have its domain in front. The allowed characters also keep it harmless in a header.
const ID = /^(?:[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/;
const NUMBER = /^[1-9][0-9]{0,18}$/;

/** The project, or undefined if `value` cannot be the ID or number of one. */
export function parseQuotaProject(value: string): QuotaProject | undefined {
  // the patterns are the proof of the brand
  return ID.test(value) || NUMBER.test(value) ? (value as QuotaProject) : undefined;
}

/** The annotation of GKE's Workload Identity Federation that names the Google account to impersonate. */
export const GOOGLE_ACCOUNT_ANNOTATION = 'iam.gke.io/gcp-service-account';
/** GKE's annotation for the project whose quota is charged for requests for tokens of the account. */
export const QUOTA_PROJECT_ANNOTATION = 'iam.gke.io/credential-quota-project';
/** GKE's annotation, `"true"`: without a Google account, `email` is the principal that IAM policies name. */
export const PRINCIPAL_AS_EMAIL_ANNOTATION = 'iam.gke.io/return-principal-id-as-email';

type Annotated = Pick<ServiceAccount, 'annotations'>;

/** The value of {@link GOOGLE_ACCOUNT_ANNOTATION}. */
type GoogleAccount =
  | { readonly kind: 'none' }
  | { readonly kind: 'account'; readonly email: GoogleServiceAccountEmail }
  | { readonly kind: 'invalid'; readonly value: string };

/** The value of {@link QUOTA_PROJECT_ANNOTATION}. */
type QuotaProjectAnnotation =
  | { readonly kind: 'none' }
  | { readonly kind: 'project'; readonly project: QuotaProject }
  | { readonly kind: 'invalid'; readonly value: string };

/** A Google account to impersonate, and how. */
export interface Impersonation {
  readonly account: GoogleServiceAccountEmail;
  /** The project whose quota is charged; undefined: Google's default. */
  readonly quotaProject: QuotaProject | undefined;
}

/** The Google account in the annotation of a ServiceAccount. */
export function readGoogleAccount(serviceAccount: Annotated): GoogleAccount {
  const value = annotation(serviceAccount, GOOGLE_ACCOUNT_ANNOTATION);
  if (value === '') return { kind: 'none' };
  const email = parseGoogleServiceAccountEmail(value);
  return email === undefined ? { kind: 'invalid', value } : { kind: 'account', email };
}

function readQuotaProject(serviceAccount: Annotated): QuotaProjectAnnotation {
  const value = annotation(serviceAccount, QUOTA_PROJECT_ANNOTATION);
  if (value === '') return { kind: 'none' };
  const project = parseQuotaProject(value);
  return project === undefined ? { kind: 'invalid', value } : { kind: 'project', project };
}

/** Whether a ServiceAccount without a Google account has its principal as its email. */
export function hasPrincipalAsEmail(serviceAccount: Annotated): boolean {
  return annotation(serviceAccount, PRINCIPAL_AS_EMAIL_ANNOTATION) === 'true';
}

/** The annotations of a ServiceAccount that its tokens depend on: tokens are cached while this stays the same. */
export function tokenVersion(serviceAccount: ServiceAccount): string {
  const account = readGoogleAccount(serviceAccount);
  if (account.kind !== 'account') return '';
  const quotaProject = readQuotaProject(serviceAccount);
  return quotaProject.kind === 'project' ? `${account.email} ${quotaProject.project}` : account.email;
}

/** The annotations of a ServiceAccount that are Google's. */
export const googleAnnotations: CloudAnnotations = {
  keys: [GOOGLE_ACCOUNT_ANNOTATION, QUOTA_PROJECT_ANNOTATION, PRINCIPAL_AS_EMAIL_ANNOTATION],
  areComplete: (serviceAccount) =>
    readGoogleAccount(serviceAccount).kind === 'account' &&
    readQuotaProject(serviceAccount).kind !== 'invalid',
};

/** The account that the ServiceAccount is annotated with, if any. Throws `account-annotation-invalid`. */
export function googleAccountOf(caller: Caller): GoogleServiceAccountEmail | undefined {
  const googleAccount = readGoogleAccount(caller.serviceAccount);
  if (googleAccount.kind === 'none') return undefined;
  if (googleAccount.kind === 'account') return googleAccount.email;
  throw new Fault(
    'account-annotation-invalid',
    `the annotation ${GOOGLE_ACCOUNT_ANNOTATION} of ServiceAccount ${nameOf(caller)} is not a Google service account ` +
      `email: ${escaped(googleAccount.value, 100)}`,
    { remedy: 'Set it to NAME@PROJECT.iam.gserviceaccount.com, or remove it for direct resource access.' },
  );
}

/**
 * The account that the ServiceAccount is annotated with, if any, and how to impersonate it.
 * Throws `account-annotation-invalid` or `quota-project-invalid`.
 */
export function impersonationOf(caller: Caller): Impersonation | undefined {
  const account = googleAccountOf(caller);
  if (account === undefined) return undefined;
  const quotaProject = readQuotaProject(caller.serviceAccount);
  if (quotaProject.kind === 'none') return { account, quotaProject: undefined };
  if (quotaProject.kind === 'project') return { account, quotaProject: quotaProject.project };
  throw new Fault(
    'quota-project-invalid',
    `the annotation ${QUOTA_PROJECT_ANNOTATION} of ServiceAccount ${nameOf(caller)} is not the ID or number of a ` +
      `Google Cloud project: ${escaped(quotaProject.value, 100)}`,
    { remedy: 'Set it to the ID of the project, or remove it.' },
  );
}

/** As {@link impersonationOf}; throws `account-annotation-missing` too. */
export function requiredImpersonationOf(caller: Caller): Impersonation {
  const impersonation = impersonationOf(caller);
  if (impersonation !== undefined) return impersonation;
  throw new Fault(
    'account-annotation-missing',
    `ServiceAccount ${nameOf(caller)} is not annotated with the Google service account that ID tokens need`,
    { remedy: 'Annotate it: iam.gke.io/gcp-service-account=NAME@PROJECT.iam.gserviceaccount.com' },
  );
}

/** The value, trimmed of the white space that YAML's `|` and editors leave. */
function annotation({ annotations }: Annotated, key: string): string {
  return (annotations[key] ?? '').trim();
}

function nameOf({ serviceAccount: { namespace, name } }: Caller): string {
  return `${namespace}/${name}`;
}
