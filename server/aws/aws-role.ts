declare const brand: unique symbol;

/** The ARN of an IAM role. */
export type RoleArn = string & { readonly [brand]: 'RoleArn' };

/** As errors show it. */
export const ROLE_ARN_EXPECTED =
  'arn:aws:iam::ACCOUNT:role/NAME (or another partition), ACCOUNT being 12 digits';

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html; of RoleArn, STS takes 20 to 2048 characters
const ROLE_ARN = /^arn:(aws[a-z0-9-]*):iam::([0-9]{12}):role\/(?:[\w+=,.@/-]*\/)?([\w+=,.@-]+)$/;

/** The ARN, or undefined if `value` is not the ARN of a role. */
export function parseRoleArn(value: string): RoleArn | undefined {
  // the pattern is the proof of the brand
  return value.length <= 2048 && ROLE_ARN.test(value) ? (value as RoleArn) : undefined;
}

/** Where a role is that is named alone. */
export interface RoleDefaults {
  /** Undefined: nowhere. */
  readonly accountID: string | undefined;
  readonly partition: string;
}

/** The ARN of a role that is named alone; undefined if it has no account, or the name is not one. */
export function composeRoleArn(name: string, { accountID, partition }: RoleDefaults): RoleArn | undefined {
  return accountID === undefined
    ? undefined
    : parseRoleArn(`arn:${partition}:iam::${accountID}:role/${name}`);
}

/** What an ARN consists of. */
export interface RoleParts {
  readonly partition: string;
  /** 12 digits. */
  readonly accountID: string;
  /** Without its path. */
  readonly name: string;
}

export function partsOf(arn: RoleArn): RoleParts {
  // the pattern matches every RoleArn
  const [, partition = '', accountID = '', name = ''] = ROLE_ARN.exec(arn) ?? [];
  return { partition, accountID, name };
}

const LONGEST_SESSION_NAME = 64;

/**
 * `NAMESPACE.SERVICEACCOUNT`, which CloudTrail shows as the name of a role's session; cut, with a digest of the whole, if
 * STS would refuse its length.
 */
export function sessionName({
  namespace,
  name,
}: {
  readonly namespace: string;
  readonly name: string;
}): string {
  const whole = `${namespace}.${name}`;
  if (whole.length <= LONGEST_SESSION_NAME) return whole;
  const digest = new Bun.CryptoHasher('sha256').update(whole).digest('hex').slice(0, 8);
  return `${whole.slice(0, LONGEST_SESSION_NAME - digest.length - 1)}-${digest}`;
}
