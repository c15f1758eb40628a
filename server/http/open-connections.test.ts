import { describe, expect, test } from 'bun:test';
import { OpenConnections } from './open-connections.ts';

class FakeConnection {
  isDestroyed = false;

  constructor(
    readonly peer: string,
    readonly isIdle = true,
  ) {}

  destroy(): void {
    this.isDestroyed = true;
  }
}

function connect(open: OpenConnections<FakeConnection>, peer: string, isIdle = true) {
  const connection = new FakeConnection(peer, isIdle);
  return { connection, isAdded: open.add(peer, connection) };
}

describe('OpenConnections', () => {
  test('are so many for one peer, and others come in', () => {
    const open = new OpenConnections<FakeConnection>({ all: 10, onePeer: 2 });
    const [first, second, third] = [connect(open, 'a'), connect(open, 'a'), connect(open, 'a')];
    expect([first.isAdded, second.isAdded, third.isAdded]).toEqual([true, true, false]);
    expect(connect(open, 'b').isAdded).toBe(true);
    open.remove('a', first.connection);
    open.remove('a', first.connection);
    expect([connect(open, 'a').isAdded, [...open].length]).toEqual([true, 3]);
  });

  test('if all are taken, the peer with most gives one to a peer with fewer: an idle one, the oldest', () => {
    const open = new OpenConnections<FakeConnection>({ all: 4, onePeer: 4 });
    const busy = connect(open, 'a', false).connection;
    const idle = [connect(open, 'a'), connect(open, 'a'), connect(open, 'a')].map((one) => one.connection);
    expect(connect(open, 'b').isAdded).toBe(true);
    expect(idle.map(({ isDestroyed }) => isDestroyed)).toEqual([true, false, false]);
    expect(connect(open, 'b').isAdded).toBe(true);
    expect(busy.isDestroyed).toBe(false);
    // two each: nobody has more than the newcomer would
    expect([connect(open, 'a').isAdded, connect(open, 'b').isAdded]).toEqual([false, false]);
    expect([connect(open, 'c').isAdded, [...open].length]).toEqual([true, 4]);
    expect([...open].map(({ peer }) => peer).sort()).toEqual(['a', 'b', 'b', 'c']);
  });

  test('a busy one gives way if none is idle', () => {
    const open = new OpenConnections<FakeConnection>({ all: 2, onePeer: 2 });
    const [first, second] = [connect(open, 'a', false).connection, connect(open, 'a', false).connection];
    expect(connect(open, 'b').isAdded).toBe(true);
    expect([first.isDestroyed, second.isDestroyed]).toEqual([true, false]);
  });
});
