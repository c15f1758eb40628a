import { expect, test } from 'bun:test';
import { StandInKubernetes } from '../stand-in-kubernetes.ts';
import { node, pod } from './objects.ts';

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
    async next(): Promise<Event | undefined> {
      const { value, done } = await iterator.next();
      return done ? undefined : parse(value);
    },
    async rest(): Promise<Event[]> {
      return (await Array.fromAsync(iterator)).map(parse);
    },
  };
}

/** What became of a request. */
function outcome(answer: Promise<unknown>): Promise<'answered' | 'cut'> {
  return answer.then(
    () => 'answered',
    () => 'cut',
  );
}

interface Body {
  readonly reason: string;
  readonly metadata: { readonly resourceVersion: string };
}

/** A body with those of the fields that the test then checks. */
async function json(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

const brief = (event: Event | undefined) => [event?.type, event?.object.metadata.name];
const bare = ({ type, object }: Event) => [type, object.metadata.name];
const ON_NODE = 'fieldSelector=spec.nodeName%3Dnode-a';

test('a watch without a version sends the existing objects, then the changes, by the selector', async () => {
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

test('a watch from a version sends what has happened since', async () => {
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

test('after a compaction an old version is 410: an ERROR event or a status; open watches continue', async () => {
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

test('dropped connections break watches in the middle; a client that leaves is forgotten', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const dropped = await watch(`${kubernetes.url}/api/v1/pods?watch=1`);
  kubernetes.dropConnections();
  expect(await outcome(dropped.rest())).toBe('cut');
  const leaving = new AbortController();
  await fetch(`${kubernetes.url}/api/v1/pods?watch=1`, { signal: leaving.signal });
  expect(kubernetes.openWatches).toBe(1);
  leaving.abort();
  await kubernetes.untilWatches((open) => open === 0);
  expect(kubernetes.openWatches).toBe(0);
});

test('stopped and started again: the same port, keys, objects and versions', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  const { url, jwks } = kubernetes;
  const version = kubernetes.put(pod({ name: 'a' })).metadata.resourceVersion;
  const open = await watch(`${url}/api/v1/pods?watch=1&resourceVersion=${version}`);
  await kubernetes.stop();
  expect(await outcome(open.rest())).toBe('cut');
  expect(await outcome(fetch(`${url}/api/v1/pods`))).toBe('cut');
  // what happens meanwhile is seen after
  kubernetes.put(pod({ name: 'b' }));
  await kubernetes.start();
  expect([kubernetes.url, kubernetes.jwks, kubernetes.openWatches]).toEqual([url, jwks, 0]);
  const events = await watch(`${url}/api/v1/pods?watch=1&resourceVersion=${version}`);
  expect(brief(await events.next())).toEqual(['ADDED', 'b']);
});
