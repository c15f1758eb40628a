import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import type { Namespace } from '../kubernetes/objects.ts';
import { LiveObjects } from './live-objects.ts';

const unavailable = new Fault('kubernetes-unavailable', 'gone', { remedy: '' });
const forbidden = new Fault('kubernetes-forbidden', 'no', { remedy: '' });
const labeled = (name: string, value: string): Namespace => ({ name, labels: { value }, annotations: {} });

type Response = Namespace | undefined | Error;

/** An API server that returns these one after the other, and counts. */
function namespaces(responses: readonly Response[], { remember = true } = {}) {
  let asked = 0;
  const objects = new LiveObjects(
    async () => {
      const response = responses[asked++];
      if (response instanceof Error) throw response;
      return response;
    },
    { remember },
  );
  return { lookup: { get: (name: string) => objects.get({ name }) }, asked: () => asked };
}

describe('LiveObjects', () => {
  test('are read again each time', async () => {
    const { lookup } = namespaces([labeled('a', 'old'), labeled('a', 'new'), undefined]);
    expect((await lookup.get('a'))?.labels).toEqual({ value: 'old' });
    expect((await lookup.get('a'))?.labels).toEqual({ value: 'new' });
    expect(await lookup.get('a')).toBeUndefined();
  });

  test('are asked for once by all that ask while a request is under way, and not by that request', async () => {
    const { lookup, asked } = namespaces([labeled('a', '1'), labeled('a', '2'), labeled('a', '3')]);
    const all = await Promise.all([lookup.get('a'), lookup.get('a'), lookup.get('a')]);
    // a change between the first request and the others is seen by them
    expect(all.map((namespace) => namespace?.labels['value'])).toEqual(['1', '2', '2']);
    expect(asked()).toBe(2);
    expect((await lookup.get('a'))?.labels).toEqual({ value: '3' });
  });

  test('of one name are not held up by a failure of the request before', async () => {
    const { lookup } = namespaces([forbidden, labeled('a', '2')]);
    const [first, second] = await Promise.allSettled([lookup.get('a'), lookup.get('a')]);
    expect(first).toEqual({ status: 'rejected', reason: forbidden });
    expect(second).toMatchObject({ status: 'fulfilled', value: { labels: { value: '2' } } });
  });

  test('are never remembered unless told to', async () => {
    const { lookup } = namespaces([labeled('a', '1'), unavailable], { remember: false });
    await lookup.get('a');
    await expect(lookup.get('a')).rejects.toBe(unavailable);
  });

  test('are as last seen while the API server is gone, and only then', async () => {
    const { lookup } = namespaces([
      labeled('a', '1'),
      unavailable,
      forbidden,
      unavailable,
      undefined,
      unavailable,
    ]);
    await lookup.get('a');
    expect((await lookup.get('a'))?.labels).toEqual({ value: '1' });
    await expect(lookup.get('a')).rejects.toBe(forbidden);
    await expect(lookup.get('b')).rejects.toBe(unavailable);
    // what has been deleted is not remembered
    expect(await lookup.get('a')).toBeUndefined();
    await expect(lookup.get('a')).rejects.toBe(unavailable);
  });

  test('are not remembered without end', async () => {
    const names = Array.from({ length: 1001 }, (_, index) => `n${index}`);
    const { lookup } = namespaces([...names.map((name) => labeled(name, '1')), unavailable, unavailable]);
    for (const name of names) await lookup.get(name);
    expect((await lookup.get('n1'))?.name).toBe('n1');
    await expect(lookup.get('n0')).rejects.toBe(unavailable);
  });
});
