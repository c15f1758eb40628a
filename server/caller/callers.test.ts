import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { googleAnnotations } from '../google/google-account.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { AddressRange, parseIPAddress } from '../kubernetes/ip-address.ts';
import type { Node, Pod, ServiceAccount } from '../kubernetes/objects.ts';
import { annotated } from '../testing/fake-metadata.ts';
import { FakeResource } from '../testing/fake-resource.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import type { Caller } from './caller.ts';
import { NodeCallers } from './callers.ts';

const NAME = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';

let clock: ManualClock;
let pods: FakeResource<Pod>;
let nodes: FakeResource<Node>;
let looks: string[];
type Annotations = ServiceAccount['annotations'] | undefined;
let look: (key: string) => Annotations | Promise<Annotations>;
let callers: NodeCallers;
let stop: AbortController;
let running: Promise<void>;
let warnings: object[];

beforeEach(() => {
  clock = new ManualClock();
  pods = new FakeResource();
  nodes = new FakeResource();
  looks = [];
  warnings = [];
  look = () => annotated();
  pods.answer = () => ({ items: [pod('a', '10.0.0.1', 'fd00::1')], resourceVersion: '1' });
  nodes.answer = () => ({ items: [node()], resourceVersion: '1' });
  stop = new AbortController();
  running = Promise.resolve();
  callers = newCallers();
});

afterEach(async () => {
  stop.abort();
  await running;
});

function newCallers(defaultNodeServiceAccount?: { namespace: string; name: string }): NodeCallers {
  const client: KubernetesClient = {
    podsOfNode: () => pods,
    node: () => nodes,
    async getServiceAccount(namespace, name) {
      const key = `${namespace}/${name}`;
      looks.push(key);
      const annotations = await look(key);
      return annotations === undefined ? undefined : { namespace, name, uid: `uid of ${key}`, annotations };
    },
    createToken: () => Promise.reject(new Error('callers make no tokens')),
  };
  return new NodeCallers({
    client,
    nodeName: 'node-1',
    defaultNodeServiceAccount,
    clouds: [googleAnnotations],
    effects: { ...clock, random: () => 0.5 },
    events: { watchRestarted() {}, objectUnreadable() {} },
    log: {
      debug() {},
      info() {},
      warn({ code, address, requests }: { code?: string; address?: string; requests?: number }) {
        if (address !== undefined) warnings.push({ code, address, requests });
      },
      error() {},
    },
  });
}

async function start(): Promise<void> {
  running = callers.run(stop.signal);
  await settled();
}

function addresses(spelled: readonly string[]) {
  return spelled.map(parseIPAddress).filter((address) => address !== undefined);
}

function ranges(...cidrs: string[]) {
  return cidrs.map(AddressRange.parse).filter((range) => range !== undefined);
}

function pod(uid: string, ...spelled: string[]): Pod {
  return {
    namespace: 'default',
    name: `pod-${uid}`,
    uid,
    nodeName: 'node-1',
    serviceAccountName: `sa-${uid}`,
    hostNetwork: false,
    addresses: addresses(spelled),
    finished: false,
    startedAt: 1000,
  };
}

function node(annotations: Record<string, string> = { [NAMESPACE]: 'infra', [NAME]: 'node' }): Node {
  return {
    name: 'node-1',
    uid: 'node-uid',
    addresses: addresses(['192.0.2.1']),
    podRanges: ranges('10.0.0.0/24', 'fd00::/64'),
    labels: { zone: 'z' },
    annotations,
  };
}

function put(object: Pod, resourceVersion = '2'): void {
  pods.latest.send({ type: 'MODIFIED', object, resourceVersion });
}

async function removed(object: Pod): Promise<void> {
  pods.latest.send({ type: 'DELETED', object, resourceVersion: '3' });
  await settled();
}

async function putNode(object: Node): Promise<void> {
  nodes.latest.send({ type: 'MODIFIED', object, resourceVersion: '2' });
  await settled();
}

/** What becomes of a request, as far as it has come. */
function watched(identified: Caller | Promise<Caller>): { outcome: string } {
  const state = { outcome: 'waiting' };
  Promise.resolve(identified).then(
    (caller) => {
      state.outcome = caller.boundTo.uid;
    },
    (error) => {
      state.outcome = error instanceof Fault ? error.code : String(error);
    },
  );
  return state;
}

function unavailable(): never {
  throw new Fault('kubernetes-unavailable', 'gone', { remedy: 'none' });
}

describe('a Pod', () => {
  test('is identified, and known from then on as one object, by any of its addresses', async () => {
    await start();
    expect(callers.known('10.0.0.1')).toBeUndefined();
    const caller = await callers.identify('::ffff:10.0.0.1');
    expect(caller).toEqual({
      serviceAccount: {
        namespace: 'default',
        name: 'sa-a',
        uid: 'uid of default/sa-a',
        annotations: {},
      },
      boundTo: { kind: 'Pod', name: 'pod-a', uid: 'a' },
    });
    for (const address of ['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1']) {
      expect(callers.known(address)).toBe(caller);
      expect(callers.identify(address)).toBe(caller); // no promise: nearly every request ends here
    }
    put(pod('a', '10.0.0.1', 'fd00::1'));
    await settled();
    expect(callers.known('10.0.0.1')).toBe(caller);
    expect(looks).toEqual(['default/sa-a']);
  });

  test('identified twice at once is one object and one look', async () => {
    await start();
    const [first, second] = await Promise.all([callers.identify('10.0.0.1'), callers.identify('fd00::1')]);
    expect(second).toBe(first);
    expect(looks.length).toBe(1);
  });

  test('that has no ServiceAccount, as the mirror of a static Pod, gets that error, without a request', async () => {
    pods.answer = () => ({
      items: [{ ...pod('a', '10.0.0.1'), serviceAccountName: '' }],
      resourceVersion: '1',
    });
    await start();
    const request = watched(callers.identify('10.0.0.1'));
    await settled();
    expect(request.outcome).toBe('pod-without-service-account');
    expect(looks).toEqual([]);
  });

  test('becomes another caller when its ServiceAccount changes', async () => {
    await start();
    const first = await callers.identify('10.0.0.1');
    await clock.advance(5000);
    expect(callers.known('10.0.0.1')).toBeUndefined();
    look = () => annotated('x');
    const second = await callers.identify('10.0.0.1');
    expect(second.serviceAccount.annotations).toEqual(annotated('x'));
    expect(second).not.toBe(first);
    await clock.advance(5000);
    expect(await callers.identify('10.0.0.1')).toBe(second);
  });

  test('that Google refused is looked at again within seconds', async () => {
    const email = 'a@p.iam.gserviceaccount.com' as never; // any account does
    look = () => annotated(email);
    await start();
    const caller = await callers.identify('10.0.0.1');
    await clock.advance(6000);
    expect(callers.known('10.0.0.1')).toBe(caller);
    callers.refused(caller);
    expect(callers.known('10.0.0.1')).toBeUndefined();
    await callers.identify('10.0.0.1');
    expect(looks.length).toBe(2);
  });

  test('gone: unknown at once, and a successor requests its ServiceAccount again', async () => {
    await start();
    await callers.identify('10.0.0.1');
    await removed(pod('a'));
    expect(callers.known('10.0.0.1')).toBeUndefined();
    put({ ...pod('a2', '10.0.0.1'), serviceAccountName: 'sa-a' });
    await settled();
    expect((await callers.identify('10.0.0.1')).boundTo.uid).toBe('a2');
    expect(looks.length).toBe(2);
  });

  test('gone, but another of the same ServiceAccount stays: no new request', async () => {
    await start();
    put({ ...pod('b', '10.0.0.2'), serviceAccountName: 'sa-a' });
    await settled();
    await callers.identify('10.0.0.1');
    await removed(pod('a'));
    expect((await callers.identify('10.0.0.2')).boundTo.uid).toBe('b');
    expect(looks.length).toBe(1);
  });

  test('whose address passes to another during the look-up of its ServiceAccount is not mistaken for it', async () => {
    await start();
    const answer = Promise.withResolvers<Annotations>();
    look = (key) => (key === 'default/sa-a' ? answer.promise : {});
    const identified = callers.identify('10.0.0.1');
    await settled();
    put({ ...pod('b', '10.0.0.1'), startedAt: 2000 });
    await settled();
    answer.resolve({});
    expect((await identified).boundTo.uid).toBe('b');
  });

  test('known is served on while the API server is gone', async () => {
    await start();
    const caller = await callers.identify('10.0.0.1');
    look = unavailable;
    pods.answer = unavailable;
    pods.latest.send(new Error('cut'));
    await clock.advance(60_000);
    expect(await callers.identify('10.0.0.1')).toBe(caller);
    expect(callers.known('10.0.0.1')).toBe(caller);
    expect(callers.inSync()).toBe(true);
  });
});

describe('the Node', () => {
  test.each(['127.0.0.1', '::ffff:127.0.0.1', '::1', '192.0.2.1', '::ffff:192.0.2.1'])(
    'at %s',
    async (address) => {
      await start();
      const caller = await callers.identify(address);
      expect(caller.boundTo).toEqual({ kind: 'Node', name: 'node-1', uid: 'node-uid' });
      expect(looks).toEqual(['infra/node']);
      expect(callers.known(address)).toBe(caller);
      await putNode({ ...node(), labels: { zone: 'other' } });
      expect(callers.known('127.0.0.1')).toBe(caller);
      expect(callers.node()?.labels).toEqual({ zone: 'other' });
    },
  );

  test('is another caller at once when its annotations say so', async () => {
    await start();
    await callers.identify('127.0.0.1');
    await putNode(node({ [NAMESPACE]: 'infra', [NAME]: 'other' }));
    expect(callers.known('127.0.0.1')).toBeUndefined();
    expect((await callers.identify('127.0.0.1')).serviceAccount.name).toBe('other');
    await putNode(node({}));
    expect(callers.known('127.0.0.1')).toBeUndefined();
    expect(await outcomeOf(callers.identify('127.0.0.1'))).toBe('node-without-service-account');
  });

  test('takes the configured default', async () => {
    nodes.answer = () => ({ items: [node({})], resourceVersion: '1' });
    callers = newCallers({ namespace: 'kube-system', name: 'by-default' });
    await start();
    await callers.identify('127.0.0.1');
    expect(looks).toEqual(['kube-system/by-default']);
  });

  test('an address that a Pod owns is the Pod', async () => {
    await start();
    put(pod('b', '192.0.2.1'));
    await settled();
    expect((await callers.identify('192.0.2.1')).boundTo.uid).toBe('b');
  });
});

describe('an unknown address', () => {
  test('is answered as soon as the watch brings its Pod, without a question', async () => {
    await start();
    const request = watched(callers.identify('::ffff:10.0.0.9'));
    await clock.advance(499);
    expect(request.outcome).toBe('waiting');
    put(pod('z', '10.0.0.9'));
    await settled();
    expect(request.outcome).toBe('z');
    expect(pods.lists).toBe(1);
  });

  test('half a second later the API server is asked, once for all who wait', async () => {
    await start();
    pods.answer = () => ({
      items: [pod('y', '10.0.0.8'), pod('z', '10.0.0.9', 'fd00::9')],
      resourceVersion: '9',
    });
    const requests = ['10.0.0.8', '10.0.0.9', 'fd00::9', '10.0.0.7'].map((a) => watched(callers.identify(a)));
    await clock.advance(500);
    await settled();
    expect(requests.map((request) => request.outcome)).toEqual(['y', 'z', 'z', 'waiting']);
    expect(pods.lists).toBe(2);
  });

  test("that may be a Pod's waits on, and gets retry, never unknown; the log names it once", async () => {
    await start();
    const request = watched(callers.identify('10.0.0.9'));
    const others = Array.from({ length: 9 }, () => watched(callers.identify('10.0.0.9')));
    await clock.advance(2499);
    expect(request.outcome).toBe('waiting');
    await clock.advance(1);
    expect([request, ...others].map(({ outcome }) => outcome)).toEqual(Array(10).fill('caller-not-reported'));
    expect(warnings).toEqual([{ code: 'caller-not-reported', address: '10.0.0.9', requests: 1 }]);
    await clock.advance(30_000);
    const late = watched(callers.identify('10.0.0.9'));
    await clock.advance(1000);
    put(pod('z', '10.0.0.9'));
    await settled();
    expect(late.outcome).toBe('z');
  });

  test.each([
    [
      'outside the ranges that the Pods of this Node have',
      [['10.0.0.0/24', 'fd00::/64'], []],
      'caller-unknown',
    ],
    ['of a Node without ranges', [[], []], 'caller-not-reported'],
    ['of a Node whose ranges the CNI does not use', [['10.0.0.0/24'], ['10.8.0.1']], 'caller-not-reported'],
    ['of a family without ranges', [['fd00::/64'], []], 'caller-not-reported'],
    ['of a Node on which no Pod shows whose the ranges are', [['10.4.0.0/24'], []], 'caller-not-reported'],
  ])('%s', async (_, [cidrs = [], others = []], expected) => {
    nodes.answer = () => ({ items: [{ ...node(), podRanges: ranges(...cidrs) }], resourceVersion: '1' });
    const known = cidrs[0] === '10.4.0.0/24' ? [] : [pod('a', '10.0.0.1'), pod('other', ...others)];
    pods.answer = () => ({ items: known, resourceVersion: '1' });
    await start();
    const request = watched(callers.identify('10.9.0.1'));
    await clock.advance(2500);
    expect(request.outcome).toBe(expected);
  });

  test('one that sends many requests is turned away before it takes the places of all', async () => {
    await start();
    const flood = Array.from({ length: 200 }, () => watched(callers.identify('10.0.0.9')));
    const other = watched(callers.identify('10.0.0.8'));
    await settled();
    expect(flood.filter(({ outcome }) => outcome === 'caller-busy')).toHaveLength(200 - 64);
    expect(other.outcome).toBe('waiting');
  });

  test('unknown callers get 404, and cause ever fewer requests', async () => {
    await start();
    for (let second = 0; second < 300; second++) {
      const request = watched(callers.identify(`10.9.0.${second % 200}`));
      await clock.advance(1000);
      expect(request.outcome).toBe('caller-unknown');
    }
    expect(pods.lists).toBeLessThan(1 + 6 + 300 / 30);
    expect(pods.lists).toBeGreaterThan(5);
  });

  test('once somebody who waited was found, questions are as quick as before', async () => {
    await start();
    for (let second = 0; second < 60; second++) {
      watched(callers.identify('10.9.0.1'));
      await clock.advance(1000);
    }
    const found = watched(callers.identify('10.0.0.9'));
    put(pod('z', '10.0.0.9'));
    await settled();
    expect(found.outcome).toBe('z');
    await clock.advance(30_000);
    const before = pods.lists;
    for (let second = 0; second < 3; second++) {
      watched(callers.identify('10.9.0.1'));
      await clock.advance(1000);
    }
    expect(pods.lists).toBe(before + 2);
  });

  test('before the first list: not in sync, and no question of its own', async () => {
    pods.answer = () => new Promise(() => {});
    await start();
    const requests = ['10.0.0.1', '127.0.0.1'].map((address) => watched(callers.identify(address)));
    await clock.advance(500);
    expect(requests[0]?.outcome).toBe('stores-not-in-sync');
    expect(requests[1]?.outcome).toBe('node-uid');
    expect(callers.inSync()).toBe(false);
    expect(pods.lists).toBe(1);
  });

  test('while the Node is not known: loopback is nobody yet', async () => {
    nodes.answer = () => new Promise(() => {});
    await start();
    const request = watched(callers.identify('127.0.0.1'));
    await clock.advance(500);
    expect(request.outcome).toBe('stores-not-in-sync');
  });

  test('is not called unknown if the API server cannot be asked', async () => {
    await start();
    pods.answer = unavailable;
    const first = watched(callers.identify('10.0.0.9'));
    await clock.advance(500);
    const second = watched(callers.identify('10.0.0.9'));
    await clock.advance(500);
    expect([first.outcome, second.outcome]).toEqual(['kubernetes-unavailable', 'kubernetes-unavailable']);
  });

  test('a flood of them is turned away, and leaves room again', async () => {
    await start();
    const requests = Array.from({ length: 1000 }, (_, i) =>
      watched(callers.identify(`10.9.${i >> 8}.${i & 255}`)),
    );
    await settled();
    const turnedAway = requests.filter((request) => request.outcome === 'caller-busy').length;
    expect(turnedAway).toBe(1000 - 512);
    expect(await outcomeOf(callers.identify('10.0.0.1'))).toBe('a');
    await clock.advance(500);
    const after = watched(callers.identify('10.0.0.9'));
    put(pod('z', '10.0.0.9'));
    await settled();
    expect(after.outcome).toBe('z');
  });
});

async function outcomeOf(identified: Caller | Promise<Caller>): Promise<string> {
  const state = watched(identified);
  await Promise.resolve(identified).catch(() => {});
  return state.outcome;
}
