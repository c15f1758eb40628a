import { expect, test } from 'bun:test';
import { UnsecuredJWT } from 'jose';
import { instanceName } from './instance-name.ts';

const tokenOf = (sub: string, pod: string) =>
  `Bearer ${new UnsecuredJWT({ 'kubernetes.io': { pod: { name: pod } } }).setSubject(sub).encode()}`;
const nameOf = (authorization: string | undefined, server = 'https://10.96.0.1') =>
  instanceName({
    server,
    authenticate: async () => ({ headers: authorization === undefined ? {} : { authorization }, tls: {} }),
  });

test('Pods of one ServiceAccount are one instance, and no others', async () => {
  const own = await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-1'));
  expect(own).toMatch(/^ns:name@[0-9a-f]{12}$/);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-2'))).toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:other:name', 'pod-1'))).not.toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:other', 'pod-1'))).not.toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-1'), 'https://10.0.0.1')).not.toBe(own);
});

test('credentials that are not a ServiceAccount are a user of that cluster', async () => {
  for (const authorization of [undefined, 'Bearer opaque', 'Basic eA==', tokenOf('me', 'p')]) {
    expect(await nameOf(authorization)).toMatch(/^user@[0-9a-f]{12}$/);
  }
  const failing = { server: 'https://a', authenticate: () => Promise.reject(new Error('no file')) };
  expect(await instanceName(failing)).toStartWith('user@');
});
