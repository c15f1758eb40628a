import { beforeEach, describe, expect, test } from 'bun:test';
import { parseIPAddress } from '../kubernetes/ip-address.ts';
import type { Pod } from '../kubernetes/objects.ts';
import { PodIndex } from './pod-index.ts';

let index: PodIndex;
let gained: string[];
let removed: string[];

beforeEach(() => {
  gained = [];
  removed = [];
  index = new PodIndex('node-1', {
    gained: (address) => void gained.push(address),
    removed: (pod) => void removed.push(pod.uid),
  });
});

interface PodOptions extends Partial<Omit<Pod, 'addresses'>> {
  readonly uid: string;
  readonly addresses?: readonly string[];
}

function pod({ uid, addresses = ['10.0.0.1'], ...others }: PodOptions): Pod {
  return {
    namespace: 'default',
    name: uid,
    nodeName: 'node-1',
    serviceAccountName: 'default',
    hostNetwork: false,
    finished: false,
    startedAt: 1000,
    ...others,
    uid,
    addresses: addresses.map(parseIPAddress).filter((address) => address !== undefined),
  };
}

function ownerOf(address: string): string | undefined {
  return index.ownerOf(address)?.uid;
}

describe('PodIndex', () => {
  test('finds a Pod by both families and by every spelling of a socket', () => {
    index.put(pod({ uid: 'a', addresses: ['10.0.0.1', 'FD00:0::1'] }));
    expect(['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1'].map(ownerOf)).toEqual(['a', 'a', 'a']);
    expect(gained).toEqual(['10.0.0.1', 'fd00::1']);
    index.remove(pod({ uid: 'a' }));
    expect(['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1'].map(ownerOf)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(removed).toEqual(['a']);
  });

  test.each([{ hostNetwork: true }, { finished: true }, { nodeName: 'node-2' }])(
    '%j owns no address, also when it comes to be so later',
    (change) => {
      index.put(pod({ uid: 'a', ...change }));
      expect(ownerOf('10.0.0.1')).toBeUndefined();
      index.put(pod({ uid: 'b' }));
      expect(ownerOf('10.0.0.1')).toBe('b');
      index.put(pod({ uid: 'b', ...change }));
      expect(ownerOf('10.0.0.1')).toBeUndefined();
    },
  );

  test('Pods of other Nodes are not held at all', () => {
    index.replace([pod({ uid: 'a', nodeName: 'node-2' })]);
    index.put(pod({ uid: 'b', nodeName: 'node-2' }));
    expect([...index.pods()]).toEqual([]);
  });

  test('a reused address belongs to the Pod started last, whatever the order of events', () => {
    const old = pod({ uid: 'old', startedAt: 1000 });
    const recent = pod({ uid: 'new', startedAt: 2000 });
    index.put(old);
    index.put(recent);
    index.put(old);
    expect(ownerOf('10.0.0.1')).toBe('new');
    index.replace([recent, old]);
    expect(ownerOf('10.0.0.1')).toBe('new');
    expect(gained).toEqual(['10.0.0.1', '10.0.0.1']);
  });

  test('falls back to who else has the address when its owner ends or is gone', () => {
    index.replace([
      pod({ uid: 'a', startedAt: 1000 }),
      pod({ uid: 'b', startedAt: 2000 }),
      pod({ uid: 'c', startedAt: 3000 }),
    ]);
    index.put(pod({ uid: 'c', startedAt: 3000, finished: true }));
    expect(ownerOf('::ffff:10.0.0.1')).toBe('b');
    index.remove(pod({ uid: 'b' }));
    expect(ownerOf('::ffff:10.0.0.1')).toBe('a');
  });

  test('Pods started in the same second: one of them, and always the same', () => {
    const [a, b] = [pod({ uid: 'a' }), pod({ uid: 'b' })];
    const owners = [
      [a, b],
      [b, a],
    ].map((pods) => {
      index.replace([]);
      index.replace(pods);
      return ownerOf('10.0.0.1');
    });
    expect(owners).toEqual(['b', 'b']);
  });

  test('gains an address when the kubelet reports it, loses one it reports no more', () => {
    index.put(pod({ uid: 'a', addresses: [] }));
    expect(gained).toEqual([]);
    index.put(pod({ uid: 'a', addresses: ['10.0.0.1'] }));
    expect(ownerOf('10.0.0.1')).toBe('a');
    index.put(pod({ uid: 'a', addresses: ['10.0.0.2'] }));
    expect(['10.0.0.1', '10.0.0.2'].map(ownerOf)).toEqual([undefined, 'a']);
  });

  test('a Pod recreated under its name is another: the event of the old one does not remove it', () => {
    index.put(pod({ uid: 'old', name: 'web-0', startedAt: 1000 }));
    index.put(pod({ uid: 'new', name: 'web-0', startedAt: 2000 }));
    index.remove(pod({ uid: 'old', name: 'web-0' }));
    expect(ownerOf('10.0.0.1')).toBe('new');
  });

  test('a list replaces what was, telling who is gone, and nothing of who stays', () => {
    index.replace([pod({ uid: 'a' }), pod({ uid: 'b', addresses: ['10.0.0.2'] })]);
    gained = [];
    index.replace([pod({ uid: 'b', addresses: ['10.0.0.2'] }), pod({ uid: 'c', addresses: ['10.0.0.3'] })]);
    expect({ gained, removed }).toEqual({ gained: ['10.0.0.3'], removed: ['a'] });
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(ownerOf)).toEqual([undefined, 'b', 'c']);
  });
});
