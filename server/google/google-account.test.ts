import { expect, test } from 'bun:test';
import { annotated } from '../testing/annotated.ts';
import { readGoogleAccount } from './google-account.ts';

test('tells no annotation, an account and nonsense apart', () => {
  const read = (value?: string) => readGoogleAccount({ annotations: annotated(value) });
  expect([read(), read('')]).toEqual([{ kind: 'none' }, { kind: 'none' }]);
  expect(read('123-compute@developer.gserviceaccount.com')).toEqual({
    kind: 'account',
    email: '123-compute@developer.gserviceaccount.com' as never, // the brand is what is under test
  });
  expect(read('../x@evil.example')).toEqual({ kind: 'invalid', value: '../x@evil.example' });
});
