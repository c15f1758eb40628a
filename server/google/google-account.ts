import type { Caller } from '../caller/caller.ts';
import type { CloudAnnotations } from '../caller/service-accounts.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import {
  type GoogleServiceAccountEmail,
  parseGoogleServiceAccountEmail,
} from './google-service-account-email.ts';

/** The annotation of GKE's Workload Identity Federation that names the Google account to become. */
export const GOOGLE_ACCOUNT_ANNOTATION = 'iam.gke.io/gcp-service-account';

/** What {@link GOOGLE_ACCOUNT_ANNOTATION} says. */
export type GoogleAccount =
  | { readonly kind: 'none' }
  | { readonly kind: 'account'; readonly email: GoogleServiceAccountEmail }
  | { readonly kind: 'invalid'; readonly value: string };

/** The Google account of a ServiceAccount, as its annotation has it. */
export function readGoogleAccount({ annotations }: Pick<ServiceAccount, 'annotations'>): GoogleAccount {
  const value = annotations[GOOGLE_ACCOUNT_ANNOTATION] ?? '';
  if (value === '') return { kind: 'none' };
  const email = parseGoogleServiceAccountEmail(value);
  return email === undefined ? { kind: 'invalid', value } : { kind: 'account', email };
}

/** What of a ServiceAccount's annotations is Google's. */
export const googleAnnotations: CloudAnnotations = {
  keys: [GOOGLE_ACCOUNT_ANNOTATION],
  areComplete: (serviceAccount) => readGoogleAccount(serviceAccount).kind === 'account',
};

/** The account that the ServiceAccount is annotated with, where it is. Throws `account-annotation-invalid`. */
export function googleAccountOf(caller: Caller): GoogleServiceAccountEmail | undefined {
  const { namespace, name } = caller.serviceAccount;
  const googleAccount = readGoogleAccount(caller.serviceAccount);
  if (googleAccount.kind === 'none') return undefined;
  if (googleAccount.kind === 'account') return googleAccount.email;
  throw new Fault(
    'account-annotation-invalid',
    `the annotation ${GOOGLE_ACCOUNT_ANNOTATION} of ServiceAccount ${namespace}/${name} is no email of a ` +
      `Google service account: '${printable(googleAccount.value, 100)}'`,
    { remedy: 'Set it to NAME@PROJECT.iam.gserviceaccount.com, or remove it for direct resource access.' },
  );
}

/** Throws `account-annotation-missing` too. */
export function requiredGoogleAccountOf(caller: Caller): GoogleServiceAccountEmail {
  const account = googleAccountOf(caller);
  if (account !== undefined) return account;
  const { namespace, name } = caller.serviceAccount;
  throw new Fault(
    'account-annotation-missing',
    `ServiceAccount ${namespace}/${name} is not annotated with the Google service account that ID tokens need`,
    { remedy: 'Annotate it: iam.gke.io/gcp-service-account=NAME@PROJECT.iam.gserviceaccount.com' },
  );
}
