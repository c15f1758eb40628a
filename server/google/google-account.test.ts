import { expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';
import { annotated } from '../testing/fake-metadata.ts';
import {
  googleAccountOf,
  googleAnnotations,
  hasPrincipalAsEmail,
  impersonationOf,
  PRINCIPAL_AS_EMAIL_ANNOTATION,
  parseGoogleServiceAccountEmail,
  parseQuotaProject,
  QUOTA_PROJECT_ANNOTATION,
  readGoogleAccount,
  tokenVersion,
} from './google-account.ts';

const READER = 'reader@project.iam.gserviceaccount.com';

function caller(annotations: Record<string, string>): Caller {
  return {
    serviceAccount: { namespace: 'ns', name: 'app', uid: 'uid', annotations },
    boundTo: { kind: 'Pod', name: 'pod', uid: 'pod-uid' },
  };
}

function faultOf(call: () => unknown): Fault {
  try {
    call();
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error('no Fault');
}

test('distinguishes no annotation, an account and nonsense', () => {
  const read = (value?: string) => readGoogleAccount({ annotations: annotated(value) });
  expect([read(), read(''), read(' \n')]).toEqual([{ kind: 'none' }, { kind: 'none' }, { kind: 'none' }]);
  expect(read('123-compute@developer.gserviceaccount.com')).toEqual({
    kind: 'account',
    email: '123-compute@developer.gserviceaccount.com' as never, // the brand is what is under test
  });
  expect(read('../x@evil.example')).toEqual({ kind: 'invalid', value: '../x@evil.example' });
});

test.each([`${READER}\n`, ` ${READER}`, `\t${READER}  \r\n`])('takes %j without the white space', (value) => {
  expect(googleAccountOf(caller(annotated(value)))).toBe(READER as never);
  expect(tokenVersion(caller(annotated(value)).serviceAccount)).toBe(READER);
});

test.each([
  [`${READER}\nsecond line`, '"reader@project.iam.gserviceaccount.com\\nsecond line"'],
  ['r\u0435ader@project.iam.gserviceaccount.com', '"r\\u0435ader@project.iam.gserviceaccount.com"'],
  ['"reader@project.iam.gserviceaccount.com"', '"\\"reader@project.iam.gserviceaccount.com\\""'],
])('shows %j as it is', (value, shown) => {
  const fault = faultOf(() => googleAccountOf(caller(annotated(value))));
  expect(fault.code).toBe('account-annotation-invalid');
  expect(fault.message).toEndWith(shown);
});

test('reads the quota project of the account', () => {
  const of = (project: string) =>
    impersonationOf(caller({ ...annotated(READER), [QUOTA_PROJECT_ANNOTATION]: project }));
  expect(of('')).toEqual({ account: READER as never, quotaProject: undefined });
  expect(of('quota-project\n')).toEqual({ account: READER as never, quotaProject: 'quota-project' as never });
  const fault = faultOf(() => of('Quota Project'));
  expect([fault.code, fault.message]).toEqual([
    'quota-project-invalid',
    expect.stringContaining(`${QUOTA_PROJECT_ANNOTATION} of ServiceAccount ns/app`),
  ]);
  expect(impersonationOf(caller({ [QUOTA_PROJECT_ANNOTATION]: 'Quota Project' }))).toBeUndefined();
});

test('tokens are cached until the account or its quota project changes, whatever other annotations say', () => {
  const version = (annotations: Record<string, string>) =>
    tokenVersion(caller({ ...annotated(READER), ...annotations }).serviceAccount);
  const versions = [
    {},
    { [QUOTA_PROJECT_ANNOTATION]: 'project-a' },
    { [QUOTA_PROJECT_ANNOTATION]: 'project-b' },
  ].map(version);
  expect(new Set(versions).size).toBe(3);
  expect(version({ [PRINCIPAL_AS_EMAIL_ANNOTATION]: 'true' })).toBe(version({}));
});

test('an account is complete with a quota project that can be one', () => {
  const complete = (annotations: Record<string, string>) =>
    googleAnnotations.areComplete(caller(annotations).serviceAccount);
  expect(complete(annotated(READER))).toBe(true);
  expect(complete({ ...annotated(READER), [QUOTA_PROJECT_ANNOTATION]: 'Quota Project' })).toBe(false);
  expect(complete(annotated())).toBe(false);
});

test('the principal is the email only with the value true', () => {
  const has = (value: string) =>
    hasPrincipalAsEmail({ annotations: { [PRINCIPAL_AS_EMAIL_ANNOTATION]: value } });
  expect(['true', 'true\n', 'false', '', 'yes'].map(has)).toEqual([true, true, false, false, false]);
});

test.each([
  'app@my-project.iam.gserviceaccount.com',
  '123456789012-compute@developer.gserviceaccount.com',
  'my-project@appspot.gserviceaccount.com',
  'my-project.example.com@appspot.gserviceaccount.com',
  'app@example.com.my-project.iam.gserviceaccount.com',
  'service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com',
])('%s is a Google service account', (email) => {
  expect<string | undefined>(parseGoogleServiceAccountEmail(email)).toBe(email);
});

test.each([
  '',
  'app',
  'app@example.com',
  'app@gserviceaccount.com.evil.example',
  'app@evilgserviceaccount.com',
  'app/../other@my-project.iam.gserviceaccount.com',
  'app@my-project.iam.gserviceaccount.com:generateIdToken?x=',
  'app@my-project.iam.gserviceaccount.com\n',
  'a b@my-project.iam.gserviceaccount.com',
  `${'a'.repeat(300)}@my-project.iam.gserviceaccount.com`,
])('%p is not', (email) => {
  expect(parseGoogleServiceAccountEmail(email)).toBeUndefined();
});

test.each(['my-project', 'a12345', 'example.com:my-project', '123456789012'])('%s is a project', (value) => {
  expect(parseQuotaProject(value)).toBe(value as never); // the brand is what is under test
});

test.each([
  'short',
  'My-Project',
  '1-project',
  'my-project-',
  'my_project',
  'projects/my-project',
  'my-project\r\nx-evil: 1',
  '0123',
  `p${'x'.repeat(30)}`,
])('%j is not', (value) => {
  expect(parseQuotaProject(value)).toBeUndefined();
});
