declare const brand: unique symbol;

/** The ID or number of a Google Cloud project. */
export type QuotaProject = string & { readonly [brand]: 'QuotaProject' };

// https://cloud.google.com/resource-manager/docs/creating-managing-projects: 6 to 30 characters; older projects of an
// organisation have its domain in front. The characters are also what keeps it harmless in a header.
const ID = /^(?:[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/;
const NUMBER = /^[1-9][0-9]{0,18}$/;

/** The project, or undefined if `value` cannot be the ID or number of one. */
export function parseQuotaProject(value: string): QuotaProject | undefined {
  // the patterns are the proof of the brand
  return ID.test(value) || NUMBER.test(value) ? (value as QuotaProject) : undefined;
}
