import { beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { parseIPAddress } from '../kubernetes/ip-address.ts';
import type { Node } from '../kubernetes/objects.ts';
import { OwnNode } from './own-node.ts';

const NAME = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';

let gained: string[];
let changes: number;

beforeEach(() => {
  gained = [];
  changes = 0;
});

function ownNode(defaultServiceAccount?: { namespace: string; name: string }): OwnNode {
  return new OwnNode('node-1', defaultServiceAccount, {
    gained: (address) => void gained.push(address),
    changed: () => {
      changes += 1;
    },
  });
}

function node(options: Partial<Omit<Node, 'addresses'>> & { addresses?: string[] } = {}): Node {
  const { addresses = ['192.0.2.1', '2001:db8::1'], ...others } = options;
  return {
    name: 'node-1',
    uid: 'node-uid',
    labels: {},
    annotations: {},
    ...others,
    addresses: addresses.map(parseIPAddress).filter((address) => address !== undefined),
    podRanges: [],
  };
}

describe('OwnNode', () => {
  test.each(['127.0.0.1', '127.200.3.4', '::ffff:127.0.0.1', '::1'])(
    'loopback %s is its own from the start',
    (a) => {
      expect(ownNode().isOwn(a)).toBe(true);
    },
  );

  test('its addresses are its own, of both families and spellings, as long as they are', () => {
    const own = ownNode();
    const spellings = [
      '192.0.2.1',
      '::ffff:192.0.2.1',
      '2001:db8::1',
      '192.0.2.2',
      '12.7.0.1',
      '::ffff:1.2.7.1',
    ];
    expect(spellings.map((address) => own.isOwn(address))).toEqual(spellings.map(() => false));
    own.replace([node({ name: 'node-2', addresses: ['192.0.2.2'] }), node()]);
    own.put(node({ name: 'node-2', addresses: ['192.0.2.2'] }));
    expect(spellings.map((address) => own.isOwn(address))).toEqual([true, true, true, false, false, false]);
    own.put(node({ addresses: ['192.0.2.1', '192.0.2.2'] }));
    expect(spellings.map((address) => own.isOwn(address))).toEqual([true, true, false, true, false, false]);
    expect(gained).toEqual(['192.0.2.1', '2001:db8::1', '192.0.2.2']);
    expect(changes).toBe(2);
  });

  test('is forgotten when it is gone, by event or by list', () => {
    const own = ownNode();
    own.put(node());
    own.remove(node({ uid: 'another' }));
    expect(own.node?.uid).toBe('node-uid');
    own.remove(node());
    expect([own.node, own.isOwn('192.0.2.1')]).toEqual([undefined, false]);
    own.put(node());
    own.replace([]);
    expect(own.node).toBeUndefined();
  });
});

describe('the ServiceAccount of the Node', () => {
  const byDefault = { namespace: 'default-ns', name: 'default-name' };
  const annotations = { [NAMESPACE]: 'annotated-ns', [NAME]: 'annotated-name' };
  const labels = { [NAMESPACE]: 'labeled-ns', [NAME]: 'labeled-name' };

  test('annotations, then labels, then the default', () => {
    const own = ownNode(byDefault);
    expect([
      own.serviceAccountName(node({ annotations, labels })),
      own.serviceAccountName(node({ labels })),
      own.serviceAccountName(node()),
    ]).toEqual([
      { namespace: 'annotated-ns', name: 'annotated-name' },
      { namespace: 'labeled-ns', name: 'labeled-name' },
      byDefault,
    ]);
  });

  test('without the white space around it, as of a YAML block', () => {
    const loose = { [NAMESPACE]: ' annotated-ns', [NAME]: 'annotated-name\n' };
    expect(ownNode().serviceAccountName(node({ annotations: loose }))).toEqual({
      namespace: 'annotated-ns',
      name: 'annotated-name',
    });
  });

  test('invalid: shown with what cannot be seen', () => {
    const bad = { ...annotations, [NAME]: '\u200bannotated-name' };
    expect(thrownBy(() => ownNode().serviceAccountName(node({ annotations: bad }))).message).toBe(
      `Node node-1 has an invalid ServiceAccount: ${NAME} is "\\u200bannotated-name"`,
    );
  });

  test('none: told how to set it', () => {
    const fault = thrownBy(() => ownNode().serviceAccountName(node()));
    expect(fault.code).toBe('node-without-service-account');
    expect(fault.remedy).toContain(
      `kubectl annotate node node-1 --overwrite ${NAMESPACE}=NAMESPACE ${NAME}=NAME`,
    );
  });

  test.each<Record<string, string>>([
    { [NAME]: 'only-name' },
    { [NAMESPACE]: 'only-namespace' },
    { ...annotations, [NAME]: '..' },
    { ...annotations, [NAME]: 'a/../../secrets' },
    { ...annotations, [NAMESPACE]: 'A?x=1' },
    { ...annotations, [NAME]: '' },
  ])('%j is refused, default or not', (bad) => {
    const fault = thrownBy(() => ownNode(byDefault).serviceAccountName(node({ annotations: bad })));
    expect(fault.code).toBe('node-without-service-account');
  });
});

function thrownBy(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error('no Fault was thrown');
}
