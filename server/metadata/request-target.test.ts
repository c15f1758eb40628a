import { expect, test } from 'bun:test';
import { decodePath, targetOf } from './request-target.ts';

test.each([
  ['http://metadata.google.internal/a/b?x=1&y', '/a/b', 'x=1&y'],
  ['http://[fd00::1]:16321/a', '/a', ''],
  ['http://h/', '/', ''],
  ['http://h/?', '/', ''],
  ['http://h//a?b=http://c/d?e', '//a', 'b=http://c/d?e'],
  // HTTP/1.0 without Host
  ['/a?b', '/a', 'b'],
  ['/a://b/c', '/a://b/c', ''],
  // CONNECT
  ['h:80', '', ''],
  ['', '', ''],
])('%s', (url, path, query) => {
  expect(targetOf(url)).toEqual({ path, query });
});

test('a path is decoded once, and not at all if an escape is malformed', () => {
  expect(['/a', '/a%40b', '/a%2540b', '/%', '/%zz', '/%c0%ae'].map(decodePath)).toEqual([
    '/a',
    '/a@b',
    '/a%40b',
    undefined,
    undefined,
    undefined,
  ]);
});
