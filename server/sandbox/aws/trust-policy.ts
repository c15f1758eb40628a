import { AwsRefusal } from './error.ts';

type OneOrMore = string | readonly string[];

/** Who may assume a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. */
export interface TrustPolicy {
  readonly Version?: string;
  readonly Statement: TrustStatement | readonly TrustStatement[];
}

interface TrustStatement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: '*' | { readonly Federated?: OneOrMore; readonly AWS?: OneOrMore };
  readonly Action: OneOrMore;
  /** By operator, by key. */
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>;
}

/** What a trust policy decides about. */
export interface TrustRequest {
  readonly action: 'sts:AssumeRole' | 'sts:AssumeRoleWithWebIdentity';
  readonly principalType: 'Federated' | 'AWS';
  /** All names that a policy may have for the caller. */
  readonly principals: readonly string[];
  /** The values of condition keys, which are in lower case here, as policies may write them in any. */
  readonly context: ReadonlyMap<string, readonly string[]>;
}

interface Operator {
  readonly matches: (value: string, pattern: string) => boolean;
  readonly negated: boolean;
}

const equal = (value: string, pattern: string) => value === pattern;
const equalIgnoringCase = (value: string, pattern: string) =>
  equal(value.toLowerCase(), pattern.toLowerCase());

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['StringEquals', { matches: equal, negated: false }],
  ['StringNotEquals', { matches: equal, negated: true }],
  ['StringEqualsIgnoreCase', { matches: equalIgnoringCase, negated: false }],
  ['StringNotEqualsIgnoreCase', { matches: equalIgnoringCase, negated: true }],
  ['StringLike', { matches: isLike, negated: false }],
  ['StringNotLike', { matches: isLike, negated: true }],
]);

const OPERATOR = /^(?:(?<set>ForAnyValue|ForAllValues):)?(?<name>[A-Za-z]+?)(?<ifExists>IfExists)?$/;

/** Throws MalformedPolicyDocument for a condition that this stand-in cannot decide: none is ever ignored. */
export function checkTrustPolicy(policy: TrustPolicy): void {
  for (const statement of many<TrustStatement>(policy.Statement)) {
    for (const operator of Object.keys(statement.Condition ?? {})) parseOperator(operator);
  }
}

/** Whether a statement allows it and none denies it. */
export function isTrusted(policy: TrustPolicy, request: TrustRequest): boolean {
  const effects = many<TrustStatement>(policy.Statement)
    .filter((statement) => applies(statement, request))
    .map(({ Effect }) => Effect);
  return effects.includes('Allow') && !effects.includes('Deny');
}

function applies({ Principal, Action, Condition = {} }: TrustStatement, request: TrustRequest): boolean {
  const named = Principal === '*' ? '*' : (Principal[request.principalType] ?? []);
  return (
    many<string>(named).some((name) => name === '*' || request.principals.includes(name)) &&
    many<string>(Action).some((action) => isLike(request.action.toLowerCase(), action.toLowerCase())) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, patterns]) =>
        isMet(operator, request.context.get(key.toLowerCase()), many<string>(patterns)),
      ),
    )
  );
}

function isMet(
  operator: string,
  values: readonly string[] | undefined,
  patterns: readonly string[],
): boolean {
  const { matches, negated, ifExists, set } = parseOperator(operator);
  if (values === undefined) return ifExists || negated || set === 'ForAllValues';
  const isMatched = (value: string) => patterns.some((pattern) => matches(value, pattern)) !== negated;
  // without a set operator a negated condition holds only if no value is named
  return set === 'ForAllValues' || (set === undefined && negated)
    ? values.every(isMatched)
    : values.some(isMatched);
}

function parseOperator(operator: string) {
  const { set, name = '', ifExists } = OPERATOR.exec(operator)?.groups ?? {};
  const known = OPERATORS.get(name);
  if (known === undefined) {
    throw new AwsRefusal('MalformedPolicyDocument', `Unsupported condition operator: ${operator}`);
  }
  return { ...known, set, ifExists: ifExists !== undefined };
}

/** `*` matches any characters, `?` one. */
function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(value);
}

function many<T>(value: T | readonly T[]): readonly T[] {
  return [value].flat() as readonly T[];
}
