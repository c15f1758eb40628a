import { GOOGLE_ACCOUNT_ANNOTATION } from '../google/google-account.ts';

/** The annotations of a ServiceAccount that is to become this Google account, or none. */
export function annotated(googleAccount?: string): Record<string, string> {
  return googleAccount === undefined ? {} : { [GOOGLE_ACCOUNT_ANNOTATION]: googleAccount };
}
