declare const brand: unique symbol;

/** The ARN of an IAM role. */
export type RoleArn = string & { readonly [brand]: 'RoleArn' };

/** As a person is told. */
export const ROLE_ARN_EXPECTED =
  'arn:aws:iam::ACCOUNT:role/NAME (or another partition), ACCOUNT being 12 digits';

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html; of RoleArn, STS takes 20 to 2048 characters
const ROLE_ARN = /^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role\/[\w+=,.@/-]+$/;

/** The ARN, or undefined if `value` is not the ARN of a role. */
export function parseRoleArn(value: string): RoleArn | undefined {
  // the pattern is the proof of the brand
  return value.length <= 2048 && ROLE_ARN.test(value) ? (value as RoleArn) : undefined;
}
