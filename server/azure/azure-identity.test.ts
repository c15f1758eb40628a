import { describe, expect, test } from 'bun:test';
import {
  azureAnnotations,
  azureIdentityOf,
  azureTokenVersion,
  parseClientID,
  parseTenantID,
} from './azure-identity.ts';

const CLIENT = '00000000-aaaa-bbbb-cccc-000000000001';
const TENANT = '00000000-aaaa-bbbb-cccc-000000000002';

function caller(annotations: Record<string, string>) {
  return { serviceAccount: { namespace: 'shop', name: 'cart', uid: 'u', annotations } };
}

const client = (value: string) => ({ 'azure.workload.identity/client-id': value });
const tenant = (value: string) => ({ 'azure.workload.identity/tenant-id': value });

describe('azureIdentityOf', () => {
  test('reads both annotations, trimmed and in lower case', () => {
    const annotations = { ...client(` ${CLIENT.toUpperCase()}\n`), ...tenant(TENANT) };
    expect(azureIdentityOf(caller(annotations), 'other.example')).toEqual({
      clientID: CLIENT,
      tenantID: TENANT,
    });
  });

  test('takes the default tenant if the annotation is missing or empty', () => {
    for (const annotations of [client(CLIENT), { ...client(CLIENT), ...tenant('') }]) {
      expect(azureIdentityOf(caller(annotations), 'contoso.onmicrosoft.com').tenantID).toBe(
        'contoso.onmicrosoft.com',
      );
    }
  });

  test.each([
    [
      {},
      'azure-identity-missing',
      'ServiceAccount shop/cart has no annotation azure.workload.identity/client-id',
    ],
    [
      client(''),
      'azure-identity-missing',
      'ServiceAccount shop/cart has no annotation azure.workload.identity/client-id',
    ],
    [
      client(CLIENT),
      'azure-identity-missing',
      'ServiceAccount shop/cart has no annotation azure.workload.identity/tenant-id, and there is no default tenant',
    ],
    [
      client('my-app'),
      'azure-identity-invalid',
      'the annotation azure.workload.identity/client-id of ServiceAccount shop/cart is not a GUID: "my-app"',
    ],
    [
      { ...client(CLIENT), ...tenant('../common') },
      'azure-identity-invalid',
      'the annotation azure.workload.identity/tenant-id of ServiceAccount shop/cart is not a GUID or a domain: "../common"',
    ],
  ])('refuses %j as %s', (annotations: Record<string, string>, code, message) => {
    expect(() => azureIdentityOf(caller(annotations), undefined)).toThrow(
      expect.objectContaining({ code, message }),
    );
  });
});

test.each(['', 'x', `${CLIENT}0`, `${CLIENT}\n`, `a${CLIENT}`])('%j is not a client ID', (value) => {
  expect(parseClientID(value)).toBeUndefined();
});

test.each([
  '',
  'common',
  'a/b.example',
  'a..example',
  '-a.example',
  `${'a'.repeat(64)}.example`,
  'a.example\n',
])('%j is not a tenant', (value) => {
  expect(parseTenantID(value)).toBeUndefined();
});

test('tokens depend on both annotations', () => {
  const version = (annotations: Record<string, string>) =>
    azureTokenVersion(caller(annotations).serviceAccount);
  const versions = [{}, client(CLIENT), tenant(TENANT), { ...client(CLIENT), ...tenant(TENANT) }].map(
    version,
  );
  expect(new Set(versions).size).toBe(4);
});

test('an annotation is complete if it names a client', () => {
  const isComplete = (annotations: Record<string, string>) =>
    azureAnnotations.areComplete(caller(annotations).serviceAccount);
  expect([client(CLIENT), client('x'), {}].map(isComplete)).toEqual([true, false, false]);
});
