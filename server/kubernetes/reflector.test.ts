import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { FakeResource } from '../testing/fake-resource.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import type { Unreadable } from './objects.ts';
import { type Identified, Reflector } from './reflector.ts';
import { ResourceVersionExpired, type WatchEvent } from './resource.ts';

const HEARD: WatchEvent<Identified> = { type: 'BOOKMARK', resourceVersion: '9' };

function gone(): Fault {
  return new Fault('kubernetes-unavailable', 'gone', { remedy: 'none' });
}

let clock: ManualClock;
let resource: FakeResource<Identified>;
let objects: Set<string>;
let restarts: string[];
let onRestart: () => void;
let unreadable: number;
let warnings: object[];
let reflector: Reflector<Identified>;
let stop: AbortController;
let running: Promise<void>;

beforeEach(() => {
  clock = new ManualClock();
  resource = new FakeResource();
  objects = new Set();
  restarts = [];
  onRestart = () => {};
  unreadable = 0;
  warnings = [];
  stop = new AbortController();
  reflector = new Reflector({
    resource,
    store: {
      replace: (all) => {
        objects = new Set(all.map(({ uid }) => uid));
      },
      put: ({ uid }) => void objects.add(uid),
      remove: ({ uid }) => void objects.delete(uid),
    },
    name: 'pods',
    effects: { ...clock, random: () => 0.5 },
    events: {
      watchRestarted(_, reason) {
        restarts.push(reason);
        onRestart();
      },
      objectUnreadable() {
        unreadable += 1;
      },
    },
    log: { debug() {}, info() {}, warn: (fields) => void warnings.push(fields), error() {} },
  });
});

afterEach(async () => {
  stop.abort();
  await running;
});

async function start(): Promise<void> {
  running = reflector.run(stop.signal);
  await settled();
}

describe('Reflector', () => {
  test('lists, then follows the watch from there', async () => {
    resource.answer = () => ({ items: [{ uid: 'a' }, { uid: 'b' }], resourceVersion: '5' });
    expect(reflector.inSync).toBe(false);
    await start();
    expect(reflector.inSync).toBe(true);
    expect(resource.latest.resourceVersion).toBe('5');
    resource.latest.send(
      { type: 'ADDED', object: { uid: 'c' }, resourceVersion: '6' },
      { type: 'DELETED', object: { uid: 'a' }, resourceVersion: '7' },
      { type: 'MODIFIED', object: { uid: 'd' }, resourceVersion: '8' },
    );
    await settled();
    expect([...objects].sort()).toEqual(['b', 'c', 'd']);
  });

  test('resumes a watch that ended from its last event or bookmark, without a list or a pause', async () => {
    await start();
    resource.latest.send({ type: 'ADDED', object: { uid: 'a' }, resourceVersion: '6' }, 'end');
    await settled();
    expect(resource.latest.resourceVersion).toBe('6');
    resource.latest.send(HEARD, 'end');
    await settled();
    expect(resource.latest.resourceVersion).toBe('9');
    expect({ lists: resource.lists, watches: resource.watches.length }).toEqual({ lists: 1, watches: 3 });
    expect(restarts).toEqual(['ended', 'ended']);
    expect(warnings).toEqual([]);
  });

  test('an unreadable object is left out, counted and logged once; others are not affected', async () => {
    const broken = (uid: string | undefined, name = 'default/broken'): Unreadable => ({
      uid,
      name,
      cause: gone(),
    });
    const event = (uid: string | undefined, resourceVersion?: string) =>
      ({ type: 'UNREADABLE', object: broken(uid), resourceVersion }) as const;
    resource.answer = () => ({
      items: [{ uid: 'a' }, { uid: 'b' }],
      unreadable: [broken('x')],
      resourceVersion: '5',
    });
    await start();
    expect(reflector.inSync).toBe(true);
    expect(warnings).toEqual([
      { resource: 'pods', name: 'default/broken', uid: 'x', reason: 'gone', remedy: 'none' },
    ]);
    resource.latest.send(
      event('a', '6'),
      event('a', '7'),
      event(undefined),
      { type: 'ADDED', object: { uid: 'c' }, resourceVersion: '8' },
      'end',
    );
    await settled();
    // what was known of `a` may be wrong by now
    expect([...objects]).toEqual(['b', 'c']);
    expect([unreadable, warnings.length]).toEqual([4, 3]);
    expect(restarts).toEqual(['ended']);
    resource.latest.send(event('y', '9'), event(undefined), 'end');
    await settled();
    expect(resource.latest.resourceVersion).toBe('9');
    resource.latest.send({ type: 'MODIFIED', object: { uid: 'a' }, resourceVersion: '10' });
    await settled();
    expect([...objects].sort()).toEqual(['a', 'b', 'c']);
  });

  test('bounds what it remembers of logged objects', async () => {
    await start();
    for (let uid = 0; uid < 1000; uid++) {
      const object = { uid: `${uid}`, name: '', cause: gone() };
      resource.latest.send({ type: 'UNREADABLE', object, resourceVersion: `${uid}` });
    }
    await settled();
    expect([unreadable, warnings.length]).toEqual([1000, 1000]);
  });

  test('lists again at once when the version has expired, dropping what is gone', async () => {
    resource.answer = () => ({ items: [{ uid: 'a' }], resourceVersion: '5' });
    await start();
    resource.latest.send(HEARD, 'end');
    await settled();
    resource.answer = () => ({ items: [{ uid: 'b' }], resourceVersion: '50' });
    resource.latest.send(new ResourceVersionExpired());
    await settled();
    expect([...objects]).toEqual(['b']);
    expect(resource.latest.resourceVersion).toBe('50');
    expect(restarts).toEqual(['ended', 'expired']);
    expect(clock.sleepers).toBe(1); // the guard of the watch, no pause
  });

  test('a version that expires right after its list does not cause a loop', async () => {
    await start();
    resource.latest.send(new ResourceVersionExpired());
    await settled();
    expect({ lists: resource.lists, watches: resource.watches.length }).toEqual({ lists: 1, watches: 1 });
    await clock.advance(1000);
    expect(resource.lists).toBe(2);
  });

  test('a watch that ends at once without an event counts as a failure', async () => {
    await start();
    resource.latest.send('end');
    await settled();
    expect(resource.watches.length).toBe(1);
    expect(restarts).toEqual(['failed']);
    await clock.advance(1000);
    expect(resource.watches.length).toBe(2);
  });

  test('a silent watch that ran its full time is not a failure', async () => {
    await start();
    await clock.advance(100_000);
    resource.latest.send('end');
    await settled();
    expect(resource.watches.length).toBe(2);
    expect(restarts).toEqual(['ended']);
  });

  test('backs off from failures, twice as long each time, until something is heard', async () => {
    resource.answer = () => {
      throw gone();
    };
    await start();
    for (const milliseconds of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      const before = resource.lists;
      await clock.advance(milliseconds - 1);
      expect(resource.lists).toBe(before);
      await clock.advance(1);
      expect(resource.lists).toBe(before + 1);
    }
    expect(reflector.inSync).toBe(false);
    resource.answer = () => ({ items: [], resourceVersion: '5' });
    await clock.advance(30_000);
    resource.latest.send(HEARD, gone());
    await settled();
    await clock.advance(1000);
    expect(resource.watches.length).toBe(2);
    expect(resource.latest.resourceVersion).toBe('9');
  });

  test('a list alone does not end the back-off: the watch may be what fails', async () => {
    await start();
    for (const milliseconds of [1000, 2000, 4000, 8000]) {
      const before = resource.watches.length;
      resource.latest.send(gone());
      await clock.advance(milliseconds - 1);
      expect(resource.watches.length).toBe(before);
      await clock.advance(1);
      expect(resource.watches.length).toBe(before + 1);
    }
  });

  test('keeps its objects and stays in sync while the API server is gone', async () => {
    resource.answer = () => ({ items: [{ uid: 'a' }], resourceVersion: '5' });
    await start();
    resource.answer = () => {
      throw gone();
    };
    resource.latest.send(gone());
    for (let failure = 0; failure < 5; failure++) {
      await clock.advance(30_000);
      if (!resource.latest.signal.aborted) resource.latest.send(gone());
      await settled();
    }
    expect([...objects]).toEqual(['a']);
    expect(reflector.inSync).toBe(true);
  });

  test('lists again after three failures in a row: the version itself may be what fails', async () => {
    await start();
    for (const milliseconds of [1000, 2000, 4000]) {
      expect(resource.lists).toBe(1);
      resource.latest.send(gone());
      await clock.advance(milliseconds);
    }
    expect(resource.lists).toBe(2);
  });

  test('resumes a watch that is silent for too long: immediately, from its last version, without a warning', async () => {
    await start();
    await clock.advance(149_000);
    resource.latest.send(HEARD);
    await clock.advance(149_000);
    expect(resource.latest.signal.aborted).toBe(false);
    await clock.advance(2000);
    const [first] = resource.watches;
    expect(first?.signal.aborted).toBe(true);
    await settled();
    expect(resource.latest.resourceVersion).toBe('9');
    expect(resource.latest).not.toBe(first);
    // a quiet hour, as an API server without bookmarks for this watch has it
    for (let minute = 0; minute < 60; minute++) await clock.advance(60_000);
    expect({ lists: resource.lists, version: resource.latest.resourceVersion }).toEqual({
      lists: 1,
      version: '9',
    });
    expect(resource.watches.length).toBeGreaterThan(20);
    expect(new Set(restarts)).toEqual(new Set(['silent']));
    expect(warnings).toEqual([]);
    resource.latest.send({ type: 'ADDED', object: { uid: 'a' }, resourceVersion: '10' });
    await settled();
    expect([...objects]).toEqual(['a']);
  });

  test('a connection that died unseen is a failure as soon as the watch is asked for again', async () => {
    await start();
    await clock.advance(150_000);
    await settled();
    resource.latest.send(gone());
    await settled();
    expect(restarts).toEqual(['silent', 'failed']);
    expect(warnings.length).toBe(1);
  });

  test('at rest it asks for nothing', async () => {
    await start();
    for (let minute = 0; minute < 60; minute++) {
      await clock.advance(60_000);
      resource.latest.send(HEARD);
    }
    expect({ lists: resource.lists, watches: resource.watches.length }).toEqual({ lists: 1, watches: 1 });
  });

  test('stops when aborted, during a watch or a pause', async () => {
    await start();
    stop.abort(new Error('stopping'));
    await running;
    expect(resource.latest.signal.aborted).toBe(true);
    expect(restarts).toEqual([]);
    expect(clock.sleepers).toBe(0);
  });
});

describe('Reflector.relist', () => {
  test('lists once for all who ask, in the midst of a watch, and goes on from there', async () => {
    await start();
    resource.answer = () => ({ items: [{ uid: 'a' }], resourceVersion: '7' });
    await Promise.all([reflector.relist(), reflector.relist()]);
    expect([...objects]).toEqual(['a']);
    expect(resource.lists).toBe(2);
    await settled();
    expect(resource.watches.map((watch) => watch.signal.aborted)).toEqual([true, false]);
    expect(resource.latest.resourceVersion).toBe('7');
    expect(restarts).toEqual([]);
  });

  test('does not wait for a pause to end, and tells of the failure', async () => {
    resource.answer = () => {
      throw gone();
    };
    await start();
    expect(resource.lists).toBe(1);
    expect(await reflector.relist().catch((error: Error) => error.message)).toBe('gone');
    expect(resource.lists).toBe(2);
    resource.answer = () => ({ items: [{ uid: 'a' }], resourceVersion: '7' });
    await reflector.relist();
    expect([...objects]).toEqual(['a']);
  });

  test('asked for between a watch and the pause after it, does not wait for that either', async () => {
    await start();
    let relisted: Promise<void> | undefined;
    onRestart = () => {
      relisted = reflector.relist();
    };
    resource.latest.send(gone());
    await settled();
    await relisted;
    expect({ restarts, lists: resource.lists }).toEqual({ restarts: ['failed'], lists: 2 });
  });

  test('a watch that it ends is not a failure, also if the watch ends in good order', async () => {
    await start();
    resource.latest.send(HEARD, 'end');
    await reflector.relist();
    await settled();
    expect({ restarts, watches: resource.watches.length }).toEqual({ restarts: [], watches: 2 });
  });

  test('joins a list that is under way', async () => {
    const listing = Promise.withResolvers<void>();
    resource.answer = async () => {
      await listing.promise;
      return { items: [{ uid: 'a' }], resourceVersion: '7' };
    };
    await start();
    const relisted = reflector.relist();
    listing.resolve();
    await relisted;
    await settled();
    expect({ lists: resource.lists, watches: resource.watches.length }).toEqual({ lists: 1, watches: 1 });
    expect(resource.latest.signal.aborted).toBe(false);
  });

  test('is refused when all ends, and after', async () => {
    resource.answer = () => new Promise(() => {});
    await start();
    const asked = reflector.relist();
    const reason = new Error('stopping');
    stop.abort(reason);
    expect(await asked.catch((error: unknown) => error)).toBe(reason);
    await running;
    expect(await reflector.relist().catch((error: unknown) => error)).toBe(reason);
  });
});
