import { expect, test } from 'bun:test';
import { checkTrustPolicy, isTrusted, type TrustPolicy } from './trust-policy.ts';

const PROVIDER = 'arn:aws:iam::123456789012:oidc-provider/cluster.example';
const REQUEST = {
  action: 'sts:AssumeRoleWithWebIdentity',
  principalType: 'Federated',
  principals: [PROVIDER],
  context: new Map([
    ['cluster.example:sub', ['system:serviceaccount:ns:robot']],
    ['cluster.example:aud', ['sts.amazonaws.com', 'other']],
  ]),
} as const;

const ALLOW = {
  Effect: 'Allow',
  Principal: { Federated: PROVIDER },
  Action: 'sts:AssumeRoleWithWebIdentity',
} as const;

function withCondition(operator: string, key: string, value: string | string[]): TrustPolicy {
  return { Statement: { ...ALLOW, Condition: { [operator]: { [key]: value } } } };
}

test.each<[string, TrustPolicy, boolean]>([
  ['the provider by its ARN', { Version: '2012-10-17', Statement: [ALLOW] }, true],
  ['one of several providers', { Statement: { ...ALLOW, Principal: { Federated: ['x', PROVIDER] } } }, true],
  ['everybody', { Statement: { ...ALLOW, Principal: '*' } }, true],
  ['another provider', { Statement: { ...ALLOW, Principal: { Federated: 'accounts.google.com' } } }, false],
  ['the provider as an AWS principal', { Statement: { ...ALLOW, Principal: { AWS: PROVIDER } } }, false],
  ['another action', { Statement: { ...ALLOW, Action: 'sts:AssumeRole' } }, false],
  ['actions by a wildcard, in any case', { Statement: { ...ALLOW, Action: ['STS:*'] } }, true],
  ['a statement that denies', { Statement: [ALLOW, { ...ALLOW, Effect: 'Deny' }] }, false],
  ['no statement', { Statement: [] }, false],
])('%s: trusted or not', (_, policy, trusted) => {
  expect(isTrusted(policy, REQUEST)).toBe(trusted);
});

test.each([
  ['StringEquals', 'system:serviceaccount:ns:robot', true],
  ['StringEquals', ['x', 'system:serviceaccount:ns:robot'], true],
  ['StringEquals', 'system:serviceaccount:ns:ROBOT', false],
  ['StringEquals', 'system:serviceaccount:ns:*', false],
  ['StringEqualsIgnoreCase', 'system:serviceaccount:ns:ROBOT', true],
  ['StringNotEquals', 'system:serviceaccount:ns:robot', false],
  ['StringNotEquals', 'system:serviceaccount:ns:other', true],
  ['StringLike', 'system:serviceaccount:ns:*', true],
  ['StringLike', 'system:serviceaccount:??:robot', true],
  ['StringLike', 'system:serviceaccount:?:robot', false],
  // a dot is literal
  ['StringLike', 'system.serviceaccount.*', false],
  ['StringNotLike', 'system:serviceaccount:kube-system:*', true],
  ['ForAnyValue:StringEquals', 'system:serviceaccount:ns:robot', true],
])('%s %p of the subject', (operator, value, met) => {
  // a key is found in any case, too
  expect(isTrusted(withCondition(operator, 'Cluster.example:sub', value), REQUEST)).toBe(met);
});

test.each([
  ['StringEquals', 'sts.amazonaws.com', true],
  ['ForAnyValue:StringEquals', 'sts.amazonaws.com', true],
  ['ForAllValues:StringEquals', 'sts.amazonaws.com', false],
  ['StringNotEquals', 'sts.amazonaws.com', false],
])('%s %p of two audiences', (operator, value, met) => {
  expect(isTrusted(withCondition(operator, 'cluster.example:aud', value), REQUEST)).toBe(met);
});

test.each([
  ['StringEquals', false],
  ['StringLike', false],
  ['StringEqualsIfExists', true],
  ['StringNotEquals', true],
  ['ForAnyValue:StringEquals', false],
  ['ForAllValues:StringEquals', true],
])('%s of a key that the token does not set', (operator, met) => {
  expect(isTrusted(withCondition(operator, 'other.example:sub', 'x'), REQUEST)).toBe(met);
});

test('every key of every operator has to match', () => {
  const Condition = {
    StringEquals: { 'cluster.example:aud': 'sts.amazonaws.com', 'cluster.example:sub': 'nobody' },
  };
  expect(isTrusted({ Statement: { ...ALLOW, Condition } }, REQUEST)).toBe(false);
});

test('a condition that it cannot decide is refused, not ignored', () => {
  expect(() => checkTrustPolicy(withCondition('IpAddress', 'aws:SourceIp', '10.0.0.0/8'))).toThrow(
    'Unsupported condition operator: IpAddress',
  );
});
