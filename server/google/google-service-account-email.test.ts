import { expect, test } from 'bun:test';
import { parseGoogleServiceAccountEmail } from './google-service-account-email.ts';

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
