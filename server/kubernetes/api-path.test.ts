import { describe, expect, test } from 'bun:test';
import { fixedPath, listPath, objectPath } from './api-path.ts';
import { ApiServer } from './api-server.ts';
import { AdmissionRestClient, RestClient } from './client.ts';
import { getPodDetails } from './pod-details.ts';

test('names become paths', () => {
  expect(
    [
      objectPath('pods', { namespace: 'default', name: 'web-0' }),
      objectPath('nodes', { name: 'ip-10-0-0-1.eu-west-1.compute.internal' }),
      objectPath('namespaces', { name: 'default' }),
      objectPath('serviceaccounts', { namespace: 'default', name: 'web' }, 'token'),
      listPath('pods', 'spec.nodeName', 'node-1', { watch: 'true' }),
      fixedPath('/openid/v1/jwks'),
    ].map(String),
  ).toEqual([
    '/api/v1/namespaces/default/pods/web-0',
    '/api/v1/nodes/ip-10-0-0-1.eu-west-1.compute.internal',
    '/api/v1/namespaces/default',
    '/api/v1/namespaces/default/serviceaccounts/web/token',
    '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1&watch=true',
    '/openid/v1/jwks',
  ]);
});

describe.each([
  '..',
  '.',
  '',
  '../../secrets/x',
  'a/b',
  'a%2fb',
  'a?b',
  'a#b',
  'a,spec.nodeName!=b',
  'a=b',
  'UPPER',
  '-a',
  'a-',
  'a..b',
  'a.-b',
  'a\n',
  'ä',
  'a'.repeat(254),
  '%2e%2e',
])('the name %p', (name) => {
  const requests: string[] = [];
  const cluster = { server: 'https://api.test', authenticate: async () => ({ headers: {}, tls: {} }) };
  const server = new ApiServer(cluster, {
    sleep: () => new Promise(() => {}),
    fetch: async (url) => {
      requests.push(url);
      return new Response('{}');
    },
  });
  const client = new RestClient(server, { random: () => 0.5 });
  const admission = new AdmissionRestClient(server);
  const boundObject = { kind: 'Pod', name: 'p', uid: 'u' } as const;
  const token = { audience: 'a', expirationSeconds: 600, boundObject };
  const { signal } = new AbortController();

  test.each<[string, () => unknown]>([
    ['getServiceAccount, as Namespace', () => client.getServiceAccount(name, 'web')],
    ['getServiceAccount', () => client.getServiceAccount('default', name)],
    [
      'createToken, as Namespace',
      () => client.createToken({ ...token, namespace: name, serviceAccountName: 'web' }),
    ],
    ['createToken', () => client.createToken({ ...token, namespace: 'default', serviceAccountName: name })],
    ['podsOfNode, listed', () => client.podsOfNode(name).list()],
    ['podsOfNode, watched', () => client.podsOfNode(name).watch('1', signal)[Symbol.asyncIterator]().next()],
    ['node, listed', () => client.node(name).list()],
    ['getPod, as Namespace', () => admission.getPod(name, 'web')],
    ['getPod', () => admission.getPod('default', name)],
    ['getNode', () => admission.getNode(name)],
    ['getNamespace', () => admission.getNamespace(name)],
    ['getPodDetails, as Namespace', () => getPodDetails(server, name, 'web')],
    ['getPodDetails', () => getPodDetails(server, 'default', name)],
  ])('is refused by %s, without a request', async (_, ask) => {
    const failure = await (async () => ask())().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'object-name-invalid' });
    expect(requests).toEqual([]);
  });
});

test('a Namespace has no dots, and 63 characters at most', () => {
  for (const name of ['a.b', 'a'.repeat(64)]) {
    expect(() => objectPath('namespaces', { name })).toThrow();
    expect(() => objectPath('pods', { namespace: name, name: 'web' })).toThrow();
    expect(String(objectPath('pods', { namespace: 'a', name }))).toEndWith(name);
  }
});
