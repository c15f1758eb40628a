import { expect, test } from 'bun:test';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

test('so many are done at a time, the others in order, and one that fails gives its turn on', async () => {
  const turns = new Turns(2);
  const log: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const work = (name: string) => {
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    return turns.take(async () => {
      log.push(name);
      await end.promise;
      return name;
    }, never);
  };
  const [a, b, c, d] = [work('a'), work('b'), work('c'), work('d')];
  await Bun.sleep(0);
  expect(log).toEqual(['a', 'b']);
  ends.get('b')?.reject(new Error('failed'));
  await expect(b).rejects.toThrow('failed');
  await Bun.sleep(0);
  expect(log).toEqual(['a', 'b', 'c']);
  for (const end of ends.values()) end.resolve();
  expect(await Promise.all([a, c, d])).toEqual(['a', 'c', 'd']);
  expect(await turns.take(async () => 'again', never)).toBe('again');
});

test('one that leaves while it waits is not done, and holds up nobody', async () => {
  const turns = new Turns(1);
  const end = Promise.withResolvers<void>();
  const first = turns.take(() => end.promise, never);
  const leaving = new AbortController();
  const left = turns.take(() => Promise.reject(new Error('must not run')), leaving.signal);
  const third = turns.take(async () => 'third', never);
  leaving.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  end.resolve();
  await first;
  expect(await third).toBe('third');
});
