import { expect, test } from 'bun:test';
import { hostCheck } from './host-check.ts';

const isRight = hostCheck(['metadata.google.internal', 'metadata', 'localhost']);

test.each([
  null,
  '',
  'metadata',
  'METADATA',
  'metadata:80',
  'metadata.',
  'metadata.google.internal',
  'Metadata.Google.Internal.:80',
  'localhost:16321',
  '169.254.169.254',
  '10.0.0.1:16321',
  '[fd00::1]',
  '[FD00::1]:16321',
  '[::ffff:10.0.0.1]:80',
  '[fe80::1%eth0]:80',
])('%p is right, the second time too', (host) => {
  expect([isRight(host), isRight(host)]).toEqual([true, true]);
});

test.each([
  'evil.example',
  'evil.example:80',
  'metadata.evil.example',
  'evil.metadata',
  'metadata.google.internal.evil.example',
  'metadata.google.internal..',
  'metadata:80:80',
  'metadata:x',
  'metadata, evil.example',
  'evil.example, metadata',
  'metadata, metadata',
  'metadata@evil.example',
  'metadata/evil.example',
  'a b',
  'localhost.evil.example',
  'x.localhost',
  '169.254.169.254.nip.io',
  '169.254.169.254, evil.example',
  'fd00::1',
  '[fd00::1',
  '[evil.example]',
  '[]',
  '2852039166',
  `metadata${'.'.repeat(100_000)}`,
])('%p is wrong, the second time too', (host) => {
  expect([isRight(host), isRight(host)]).toEqual([false, false]);
});

test('remembers no more than it may', () => {
  for (let port = 1; port < 1000; port++) expect(isRight(`metadata:${port}`)).toBe(true);
  expect(isRight('metadata:65535')).toBe(true);
  expect(isRight('evil.example')).toBe(false);
});
