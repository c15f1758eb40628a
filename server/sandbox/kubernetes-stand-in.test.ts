import { expect, test } from 'bun:test';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { node, pod, serviceAccount } from './kubernetes/objects.ts';
import { StandInKubernetes } from './kubernetes-stand-in.ts';

interface Event {
  readonly type: string;
  readonly object: { readonly metadata: { readonly name?: string; readonly resourceVersion: string } };
}

/** A watch read by hand: `next()` is the next event, `rest()` all up to the end. */
async function watch(url: string) {
  const response = await fetch(url);
  const lines = async function* () {
    let buffered = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      buffered += decoder.decode(chunk, { stream: true });
      const complete = buffered.split('\n');
      buffered = complete.pop() ?? '';
      yield* complete;
    }
  };
  const iterator = lines();
  // the stand-in writes what this test then checks
  const parse = (line: string) => JSON.parse(line) as Event;
  return {
    response,
    async next(): Promise<Event | undefined> {
      const { value, done } = await iterator.next();
      return done ? undefined : parse(value);
    },
    async rest(): Promise<Event[]> {
      return (await Array.fromAsync(iterator)).map(parse);
    },
  };
}

interface Body {
  readonly kind: string;
  readonly reason: string;
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

/** A body with those of the fields that the test then checks. */
async function json(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

const brief = (event: Event | undefined) => [event?.type, event?.object.metadata.name];
const bare = ({ type, object }: Event) => [type, object.metadata.name];
const ON_NODE = 'fieldSelector=spec.nodeName%3Dnode-a';

test('lists what a field selector and a namespace leave, with the version of the list', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(pod({ name: 'here', nodeName: 'node-a' }));
  kubernetes.put(pod({ name: 'there', nodeName: 'node-b' }));
  const last = kubernetes.put(pod({ name: 'other', namespace: 'other', nodeName: 'node-a' }));
  const list = async (path: string) => {
    const body = await json(await fetch(`${kubernetes.url}${path}`));
    const names = body.items.map((item) => item.metadata.name);
    return { kind: body.kind, version: body.metadata.resourceVersion, names };
  };
  const version = `${last.metadata.resourceVersion}`;
  expect(await list('/api/v1/pods')).toEqual({ kind: 'PodList', version, names: ['here', 'there', 'other'] });
  expect(await list(`/api/v1/pods?${ON_NODE}`)).toEqual({
    kind: 'PodList',
    version,
    names: ['here', 'other'],
  });
  expect(await list(`/api/v1/namespaces/default/pods?${ON_NODE}`)).toEqual({
    kind: 'PodList',
    version,
    names: ['here'],
  });
  expect(await list('/api/v1/pods?fieldSelector=spec.nodeName!%3Dnode-a,status.phase%3DRunning')).toEqual({
    kind: 'PodList',
    version,
    names: ['there'],
  });
});

test.each([
  ['/api/v1/pods?fieldSelector=spec.nodename%3Da', 400, 'field label not supported: spec.nodename'],
  ['/api/v1/nodes?fieldSelector=spec.nodeName%3Da', 400, 'field label not supported: spec.nodeName'],
  ['/api/v1/pods?fieldSelector=nonsense', 400, "invalid selector: 'nonsense'; can't understand 'nonsense'"],
  ['/api/v1/pods?labelSelector=a%3Db', 400, 'the stand-in has no label selectors'],
  ['/api/v1/namespaces/default/serviceaccounts/none', 404, 'serviceaccounts "none" not found'],
  ['/api/v1/nodes/none', 404, 'nodes "none" not found'],
  ['/api/v1/secrets', 404, 'the server could not find the requested resource'],
  [
    '/api/v1/namespaces/default/serviceaccounts/default/token',
    405,
    'the server does not allow this method on the requested resource',
  ],
])('%s is refused with a Status', async (path, code, message) => {
  await using kubernetes = await new StandInKubernetes().start();
  const response = await fetch(`${kubernetes.url}${path}`);
  expect(response.status).toBe(code);
  expect(await response.json()).toMatchObject({ kind: 'Status', status: 'Failure', code, message });
});

test('requires its bearer token where it has one', async () => {
  await using kubernetes = await new StandInKubernetes({ bearerToken: 'right' }).start();
  const statusWith = async (headers: Record<string, string>) =>
    (await fetch(`${kubernetes.url}/api/v1/pods`, { headers })).status;
  expect([
    await statusWith({}),
    await statusWith({ authorization: 'Bearer wrong' }),
    await statusWith({ authorization: 'Bearer right' }),
  ]).toEqual([401, 401, 200]);
});

test('a watch without a version tells what there is, then what changes, by the selector', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const first = kubernetes.put(pod({ name: 'first', nodeName: 'node-a' }));
  kubernetes.put(pod({ name: 'elsewhere', nodeName: 'node-b' }));
  const events = await watch(`${kubernetes.url}/api/v1/pods?watch=1&${ON_NODE}`);
  expect(brief(await events.next())).toEqual(['ADDED', 'first']);
  kubernetes.put(pod({ name: 'second', nodeName: 'node-a' }));
  kubernetes.put({ ...first, status: { ...first.status, phase: 'Succeeded' } });
  const moved = kubernetes.put(pod({ ...first.metadata, nodeName: 'node-b' }));
  kubernetes.put(node({ name: 'node-a' }));
  kubernetes.delete(pod({ name: 'second' }));
  kubernetes.endWatches();
  const rest = await events.rest();
  expect(rest.map(bare)).toEqual([
    ['ADDED', 'second'],
    ['MODIFIED', 'first'],
    ['DELETED', 'first'],
    ['DELETED', 'second'],
  ]);
  // leaving the selector carries the version of the change, so that a watch can go on from there
  expect(rest[2]?.object.metadata.resourceVersion).toBe(moved.metadata.resourceVersion);
  const versions = rest.map(({ object }) => Number(object.metadata.resourceVersion));
  expect(versions).toEqual(versions.toSorted((a, b) => a - b));
});

test('the same name with another UID is deleted, then added', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(pod({ name: 'a', uid: 'old' }));
  const events = await watch(`${kubernetes.url}/api/v1/pods?watch=true`);
  await events.next();
  kubernetes.put(pod({ name: 'a', uid: 'new' }));
  kubernetes.endWatches();
  expect((await events.rest()).map(bare)).toEqual([
    ['DELETED', 'a'],
    ['ADDED', 'a'],
  ]);
});

test('a watch from a version tells what has happened since', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const { metadata } = kubernetes.put(pod({ name: 'before' }));
  kubernetes.put(pod({ name: 'after' }));
  const events = await watch(
    `${kubernetes.url}/api/v1/pods?watch=1&resourceVersion=${metadata.resourceVersion}`,
  );
  kubernetes.endWatches();
  expect((await events.rest()).map(bare)).toEqual([['ADDED', 'after']]);
});

test('bookmarks come on demand and before an orderly end, to those who allow them', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const version = kubernetes.put(pod({ name: 'a' })).metadata.resourceVersion;
  const path = `${kubernetes.url}/api/v1/pods?watch=1&resourceVersion=${version}`;
  const [allowing, plain] = await Promise.all([watch(`${path}&allowWatchBookmarks=true`), watch(path)]);
  kubernetes.sendBookmarks();
  const bookmark = await allowing.next();
  expect([bookmark?.type, bookmark?.object.metadata.resourceVersion]).toEqual(['BOOKMARK', version]);
  kubernetes.endWatches();
  expect((await allowing.rest()).map(({ type }) => type)).toEqual(['BOOKMARK']);
  expect(await plain.rest()).toEqual([]);
});

test('a watch ends after timeoutSeconds of the clock it is given', async () => {
  const slept = Promise.withResolvers<number>();
  const wake = Promise.withResolvers<void>();
  const sleep = (milliseconds: number) => {
    slept.resolve(milliseconds);
    return wake.promise;
  };
  await using kubernetes = await new StandInKubernetes({ effects: { now: Date.now, sleep } }).start();
  const events = await watch(
    `${kubernetes.url}/api/v1/pods?watch=1&timeoutSeconds=290&allowWatchBookmarks=true`,
  );
  expect([await slept.promise, kubernetes.openWatches]).toEqual([290_000, 1]);
  wake.resolve();
  expect((await events.rest()).map(({ type }) => type)).toEqual(['BOOKMARK']);
  expect(kubernetes.openWatches).toBe(0);
});

test('after a compaction an old version is 410: an ERROR event or a status; open watches go on', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const version = kubernetes.put(pod({ name: 'a' })).metadata.resourceVersion;
  const path = `${kubernetes.url}/api/v1/pods?watch=1&resourceVersion=${version}`;
  const open = await watch(path);
  kubernetes.compact();
  expect(await (await watch(path)).rest()).toMatchObject([
    { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } },
  ]);
  kubernetes.compact('status');
  const refused = await fetch(path);
  expect([refused.status, (await json(refused)).reason]).toEqual([410, 'Expired']);
  const { metadata } = await json(await fetch(`${kubernetes.url}/api/v1/pods`));
  const fresh = await watch(
    `${kubernetes.url}/api/v1/pods?watch=1&resourceVersion=${metadata.resourceVersion}`,
  );
  kubernetes.put(pod({ name: 'b' }));
  kubernetes.endWatches();
  expect([(await open.rest()).map(bare), (await fresh.rest()).map(bare)]).toEqual([
    [['ADDED', 'b']],
    [['ADDED', 'b']],
  ]);
});

test('dropped connections break watches in the middle; who leaves is forgotten', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const dropped = await watch(`${kubernetes.url}/api/v1/pods?watch=1`);
  kubernetes.dropConnections();
  await expect(dropped.rest()).rejects.toThrow();
  const leaving = new AbortController();
  await fetch(`${kubernetes.url}/api/v1/pods?watch=1`, { signal: leaving.signal });
  expect(kubernetes.openWatches).toBe(1);
  leaving.abort();
  await kubernetes.untilWatches((open) => open === 0);
  expect(kubernetes.openWatches).toBe(0);
});

test('gone and back: the same port, keys, objects and versions', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const { url, jwks } = kubernetes;
  const version = kubernetes.put(pod({ name: 'a' })).metadata.resourceVersion;
  const open = await watch(`${url}/api/v1/pods?watch=1&resourceVersion=${version}`);
  await kubernetes.stop();
  await expect(open.rest()).rejects.toThrow();
  await expect(fetch(`${url}/api/v1/pods`)).rejects.toThrow();
  // what happens meanwhile is seen after
  kubernetes.put(pod({ name: 'b' }));
  await kubernetes.start();
  expect([kubernetes.url, kubernetes.jwks, kubernetes.openWatches]).toEqual([url, jwks, 0]);
  const events = await watch(`${url}/api/v1/pods?watch=1&resourceVersion=${version}`);
  expect(brief(await events.next())).toEqual(['ADDED', 'b']);
});

test('each resource fails for itself', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(node({ name: 'node-a' }));
  kubernetes.faults.pods.failWith(503);
  const pods = await fetch(`${kubernetes.url}/api/v1/pods`);
  expect([pods.status, (await json(pods)).reason]).toEqual([503, 'ServiceUnavailable']);
  expect((await fetch(`${kubernetes.url}/api/v1/nodes/node-a`)).status).toBe(200);
});

test('the journal tells verb, resource, names, selector and status', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  await fetch(`${kubernetes.url}/api/v1/pods?${ON_NODE}`);
  await watch(`${kubernetes.url}/api/v1/nodes?watch=true&resourceVersion=0`);
  await fetch(`${kubernetes.url}/api/v1/namespaces/ns/serviceaccounts/none`);
  await fetch(`${kubernetes.url}/apis`);
  expect(kubernetes.journal.calls).toMatchObject([
    { verb: 'list', resource: 'pods', fieldSelector: 'spec.nodeName=node-a', status: 200 },
    { verb: 'watch', resource: 'nodes', resourceVersion: '0', status: 200 },
    { verb: 'get', resource: 'serviceaccounts', namespace: 'ns', name: 'none', status: 404 },
    { verb: 'other', resource: 'other', name: '/apis', status: 404 },
  ]);
});

test('the ecosystem’s own client understands it', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(serviceAccount({ name: 'default' }));
  const stored = kubernetes.put(pod({ name: 'a', ips: ['10.0.0.1', 'fd00::1'] }));
  const config = new KubeConfig();
  // this client takes plain http only so
  config.loadFromClusterAndUser({ name: 'c', server: kubernetes.url, skipTLSVerify: true }, { name: 'u' });
  const api = config.makeApiClient(CoreV1Api);

  const listed = await api.listPodForAllNamespaces({ fieldSelector: 'metadata.name=a' });
  expect(
    listed.items.map((item) => [item.metadata?.uid, item.status?.podIPs, item.status?.startTime]),
  ).toEqual([
    [stored.metadata.uid, [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], new Date('2026-01-01T00:00:00Z')],
  ]);

  const created = await api.createNamespacedServiceAccountToken({
    namespace: 'default',
    name: 'default',
    body: {
      spec: {
        audiences: ['somebody'],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'a', uid: stored.metadata.uid },
      },
    },
  });
  expect(created.status?.token.split('.').length).toBe(3);
  expect(created.status?.expirationTimestamp).toBeInstanceOf(Date);

  await expect(
    api.readNamespacedServiceAccount({ namespace: 'default', name: 'none' }),
  ).rejects.toMatchObject({
    code: 404,
  });

  const seen: unknown[] = [];
  const done = Promise.withResolvers<unknown>();
  const version = listed.metadata?.resourceVersion;
  await new Watch(config).watch(
    '/api/v1/pods',
    { resourceVersion: version, allowWatchBookmarks: true },
    (type, object) => seen.push([type, object.metadata.name]),
    (error) => done.resolve(error),
  );
  kubernetes.delete(stored);
  kubernetes.endWatches();
  expect(await done.promise).toBeNull();
  expect(seen).toEqual([
    ['DELETED', 'a'],
    ['BOOKMARK', undefined],
  ]);
});
