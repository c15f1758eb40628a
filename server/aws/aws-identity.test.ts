import { describe, expect, test } from 'bun:test';
import { awsAnnotations, awsCredentialsVersion, awsIdentityOf, effectiveRole } from './aws-identity.ts';
import { parseRoleArn, partsOf, sessionName } from './aws-role.ts';

const ROLE = 'arn:aws:iam::111122223333:role/team/reader';
const TARGET = 'arn:aws:iam::444455556666:role/target';
const SETTINGS = { audience: 'sts.amazonaws.com', accountID: undefined, partition: 'aws' };

function caller(annotations: Record<string, string>) {
  return { serviceAccount: { namespace: 'shop', name: 'cart', uid: 'u', annotations } };
}

const irsa = (value: string) => ({ 'eks.amazonaws.com/role-arn': value });
const google = (value: string) => ({ 'amazonaws.com/role-arn': value });
const target = (value: string) => ({ 'amazonaws.com/target-role-arn': value });
const audience = (value: string) => ({ 'eks.amazonaws.com/audience': value });

describe('awsIdentityOf', () => {
  test.each<[string, Record<string, string>, object]>([
    ['IRSA', irsa(`${ROLE}\n`), { role: ROLE, webIdentity: 'kubernetes', targetRole: undefined }],
    ['token-injector', google(ROLE), { role: ROLE, webIdentity: 'google', targetRole: undefined }],
    [
      'IRSA first',
      { ...google(TARGET), ...irsa(ROLE) },
      { role: ROLE, webIdentity: 'kubernetes', targetRole: undefined },
    ],
    [
      'a target role',
      { ...irsa(ROLE), ...target(TARGET) },
      { role: ROLE, webIdentity: 'kubernetes', targetRole: TARGET },
    ],
    [
      'the audience that there is',
      { ...irsa(ROLE), ...audience('sts.amazonaws.com') },
      { role: ROLE, webIdentity: 'kubernetes', targetRole: undefined },
    ],
  ])('reads %s', (_, annotations, identity) => {
    expect<object>(awsIdentityOf(caller(annotations), SETTINGS)).toEqual(identity);
  });

  test('composes the ARN of a role that is named alone, if there is an account', () => {
    const settings = { ...SETTINGS, accountID: '123456789012', partition: 'aws-cn' };
    expect<string>(awsIdentityOf(caller(irsa('reader')), settings).role).toBe(
      'arn:aws-cn:iam::123456789012:role/reader',
    );
  });

  test.each<[Record<string, string>, string, string]>([
    [{}, 'aws-role-missing', 'ServiceAccount shop/cart has no annotation eks.amazonaws.com/role-arn'],
    [irsa(' '), 'aws-role-missing', 'ServiceAccount shop/cart has no annotation eks.amazonaws.com/role-arn'],
    [
      target(TARGET),
      'aws-role-missing',
      'ServiceAccount shop/cart has no annotation eks.amazonaws.com/role-arn',
    ],
    [
      irsa('reader'),
      'aws-role-invalid',
      'the annotation eks.amazonaws.com/role-arn of ServiceAccount shop/cart is "reader"',
    ],
    [
      { ...irsa(ROLE), ...target('arn:aws:iam::1:user/x') },
      'aws-role-invalid',
      'the annotation amazonaws.com/target-role-arn of ServiceAccount shop/cart is "arn:aws:iam::1:user/x"',
    ],
    [
      { ...irsa(ROLE), ...audience('vault') },
      'aws-role-invalid',
      'the annotation eks.amazonaws.com/audience of ServiceAccount shop/cart is "vault"',
    ],
  ])('refuses %j', (annotations, code, message) => {
    expect(() => awsIdentityOf(caller(annotations), SETTINGS)).toThrow(
      expect.objectContaining({ code, message }),
    );
  });
});

test('the role that a Pod gets is the last one', () => {
  const identity = awsIdentityOf(caller({ ...irsa(ROLE), ...target(TARGET) }), SETTINGS);
  expect<string>(effectiveRole(identity)).toBe(TARGET);
});

test('credentials depend on each annotation', () => {
  const version = (annotations: Record<string, string>) =>
    awsCredentialsVersion(caller(annotations).serviceAccount);
  const versions = [{}, irsa(ROLE), google(ROLE), target(ROLE), audience(ROLE)].map(version);
  expect(new Set(versions).size).toBe(5);
});

test('annotations are complete if they name a role', () => {
  const isComplete = (annotations: Record<string, string>) =>
    awsAnnotations.areComplete(caller(annotations).serviceAccount);
  expect([irsa(ROLE), google(ROLE), irsa('reader'), irsa('a b'), {}].map(isComplete)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});

test('an ARN has a partition, an account and a name without its path', () => {
  const arn = parseRoleArn(ROLE);
  if (arn === undefined) throw new Error('not an ARN');
  expect(partsOf(arn)).toEqual({ partition: 'aws', accountID: '111122223333', name: 'reader' });
});

test.each([
  'arn:aws:iam::111122223333:role/',
  'arn:aws:iam::111122223333:role/a/',
  'arn:aws:iam::1111:role/a',
  'arn:aws:iam::111122223333:user/a',
  'arn:azure:iam::111122223333:role/a',
  `arn:aws:iam::111122223333:role/${'a'.repeat(2048)}`,
  'arn:aws:iam::111122223333:role/a b',
  'arn:aws:iam::111122223333:role/a\n',
])('%j is not the ARN of a role', (value) => {
  expect(parseRoleArn(value)).toBeUndefined();
});

test('the name of a session is Namespace and name, or what STS accepts of them', () => {
  expect(sessionName({ namespace: 'shop', name: 'cart' })).toBe('shop.cart');
  const long = sessionName({ namespace: 'n'.repeat(63), name: 'a'.repeat(253) });
  expect(long).toMatch(/^n{55}-[0-9a-f]{8}$/);
  expect(sessionName({ namespace: 'n'.repeat(63), name: 'b'.repeat(253) })).not.toBe(long);
});
