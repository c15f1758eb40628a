declare const brand: unique symbol;

/**
 * The email of a Google service account. Project accounts, domain-scoped projects
 * (`NAME@DOMAIN.COM.PROJECT.iam.gserviceaccount.com`), the Compute Engine default
 * (`NUM-compute@developer.gserviceaccount.com`) and App Engine's
 * (`PROJECT@appspot.gserviceaccount.com`) are all valid.
 */
export type GoogleServiceAccountEmail = string & { readonly [brand]: 'GoogleServiceAccountEmail' };

// Google's services accept any *.gserviceaccount.com account; the characters are what keeps the
// value harmless in a URL path. At most 254 characters, RFC 5321.
const PATTERN =
  /^[a-z0-9](?:[a-z0-9._-]{0,126})@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}gserviceaccount\.com$/;

/** The email, or undefined where `value` is not one of a Google service account. */
export function parseGoogleServiceAccountEmail(value: string): GoogleServiceAccountEmail | undefined {
  // the pattern is the proof of the brand
  return value.length <= 254 && PATTERN.test(value) ? (value as GoogleServiceAccountEmail) : undefined;
}
