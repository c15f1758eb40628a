import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { Field } from './field.ts';
import { parseConfigMap, parseNode, parsePod, parseServiceAccount, parseToken } from './objects.ts';

const METADATA = {
  namespace: 'default',
  name: 'web-0',
  uid: 'uid-1',
  creationTimestamp: '2026-01-01T00:00:00Z',
};

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`;
  }
  return 'no Fault';
}

describe('parsePod', () => {
  const parse = (pod: unknown) => parsePod(new Field(pod, 'Pod'));
  const full = {
    metadata: METADATA,
    spec: { nodeName: 'node-1', serviceAccountName: 'web', hostNetwork: true },
    status: {
      phase: 'Succeeded',
      podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00::1' }, { ip: 'nonsense' }, {}],
      startTime: '2026-01-01T00:00:05Z',
    },
  };

  test('keeps what a caller is made of', () => {
    expect(parse(full)).toEqual({
      namespace: 'default',
      name: 'web-0',
      uid: 'uid-1',
      nodeName: 'node-1',
      serviceAccountName: 'web',
      hostNetwork: true,
      addresses: ['10.0.0.1', 'fd00::1'] as never, // the brand is what is under test
      finished: true,
      startedAt: Date.parse('2026-01-01T00:00:05Z'),
    });
  });

  test('one that has only just been scheduled', () => {
    expect(parse({ metadata: METADATA, spec: { nodeName: 'node-1' } })).toMatchObject({
      serviceAccountName: '',
      hostNetwork: false,
      addresses: [],
      finished: false,
      startedAt: Date.parse('2026-01-01T00:00:00Z'),
    });
  });

  test.each<[string, string, unknown]>([
    ['Pod.metadata.namespace is missing', 'nothing', undefined],
    ['Pod.metadata.namespace is missing', 'a list', []],
    ['Pod.metadata.uid is not text', 'a number', { ...full, metadata: { ...METADATA, uid: 7 } }],
    ['Pod.spec.nodeName is missing', 'null', { ...full, spec: { nodeName: null } }],
    ['Pod.status.podIPs is not a list', 'a map', { ...full, status: { podIPs: { ip: '10.0.0.1' } } }],
    ['Pod.status.podIPs[0].ip is not text', 'a list', { ...full, status: { podIPs: [{ ip: [] }] } }],
    ['Pod.status.startTime is not a time', 'text', { ...full, status: { startTime: 'yesterday' } }],
  ])('%s (%s)', (message, _, pod) => {
    expect(messageOf(() => parse(pod))).toBe(
      `kubernetes-unavailable: cannot read the API server's response: ${message}`,
    );
  });
});

describe('parseServiceAccount', () => {
  const parse = (annotations?: unknown) =>
    parseServiceAccount(new Field({ metadata: { ...METADATA, annotations } }, 'ServiceAccount')).annotations;

  test('hands out the annotations as they are', () => {
    const key = 'iam.gke.io/gcp-service-account';
    expect([parse(), parse({})]).toEqual([{}, {}]);
    expect(parse({ [key]: '../x@evil.example', other: '' })).toEqual({
      [key]: '../x@evil.example',
      other: '',
    });
  });

  test('an annotation in the prototype does not count', () => {
    const annotations: unknown = JSON.parse('{"__proto__": "a@b"}');
    expect(Object.keys(parse(annotations))).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(parse(annotations))).toBe(Object.prototype);
  });
});

test('parseNode keeps the addresses that are IP addresses, labels and annotations', () => {
  const labels: unknown = JSON.parse('{"zone": "z", "__proto__": "p"}');
  const addresses = [
    { type: 'InternalIP', address: '192.0.2.1' },
    { type: 'Hostname', address: 'node-1' },
    { type: 'InternalIP', address: '::FFFF:192.0.2.2' },
  ];
  const node = parseNode(new Field({ metadata: { ...METADATA, labels }, status: { addresses } }, 'Node'));
  expect(node.addresses.map(String)).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(Object.entries(node.labels)).toEqual([
    ['zone', 'z'],
    ['__proto__', 'p'],
  ]);
  expect(node.annotations).toEqual({});
});

test('parseToken keeps the token secret, also if the rest is unreadable', () => {
  const status = { token: 'the-token', expirationTimestamp: '2026-01-01T01:00:00Z' };
  const { token, expiresAt } = parseToken(new Field({ status }, 'TokenRequest'));
  expect([token.reveal(), expiresAt]).toEqual(['the-token', Date.parse('2026-01-01T01:00:00Z')]);
  const swapped = { token: status.expirationTimestamp, expirationTimestamp: status.token };
  const message = messageOf(() => parseToken(new Field({ status: swapped }, 'TokenRequest')));
  expect(message).toContain('TokenRequest.status.expirationTimestamp is not a time');
  expect(message).not.toContain('the-token');
});

test('parseConfigMap gives the JSON of a key, parsed once', () => {
  const data = { roles: '{"a": 1}', broken: '{"a": ', nothing: '', __proto__: null };
  const configMap = parseConfigMap(new Field({ data }, 'ConfigMap'));
  const keys = ['roles', 'broken', 'nothing', 'absent', 'constructor', '__proto__'];
  expect(keys.map((key) => configMap.json(key))).toEqual([
    { a: 1 },
    null,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(configMap.json('roles')).toBe(configMap.json('roles'));
  expect(parseConfigMap(new Field({}, 'ConfigMap')).json('roles')).toBeUndefined();
});
