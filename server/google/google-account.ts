import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';
import type { GoogleServiceAccountEmail } from '../settings/google-service-account-email.ts';
import { printable } from './printable.ts';

/** The account that the ServiceAccount is annotated with, where it is. Throws `account-annotation-invalid`. */
export function googleAccountOf(caller: Caller): GoogleServiceAccountEmail | undefined {
  const { namespace, name, googleAccount } = caller.serviceAccount;
  if (googleAccount.kind === 'none') return undefined;
  if (googleAccount.kind === 'account') return googleAccount.email;
  throw new Fault(
    'account-annotation-invalid',
    `the annotation iam.gke.io/gcp-service-account of ServiceAccount ${namespace}/${name} is no email of a ` +
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
