import { expect, test } from 'bun:test';
import { parseCsvRecord } from './csv-record.ts';

// as encoding/csv of Go reads them
test.each<[string, string[] | undefined]>([
  ['app', ['app']],
  ['app,proxy', ['app', 'proxy']],
  ['app, proxy ', ['app', ' proxy ']],
  ['app,', ['app', '']],
  ['"app","pro,xy"', ['app', 'pro,xy']],
  ['"a""b"', ['a"b']],
  ['""', ['']],
  ['\n\napp,proxy\nnext', ['app', 'proxy']],
  ['app\r\n', ['app']],
  ['"app', undefined],
  ['a"pp', undefined],
  ['"app"x', undefined],
  [' "app"', undefined],
])('%j is %j', (text, fields) => {
  expect(parseCsvRecord(text)).toEqual(fields);
});

test('a record of 256 KiB, which annotations may have, is read at once', () => {
  expect(parseCsvRecord('a,'.repeat(131_072))).toHaveLength(131_073);
  expect(parseCsvRecord(`"${'""'.repeat(131_000)}`)).toBeUndefined();
  expect(parseCsvRecord(`"${'a'.repeat(262_000)}"`)).toHaveLength(1);
});
