import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import type { Namespace } from '../kubernetes/objects.ts';
import { Namespaces } from './namespaces.ts';

const unavailable = new Fault('kubernetes-unavailable', 'gone', { remedy: '' });
const forbidden = new Fault('kubernetes-forbidden', 'no', { remedy: '' });
const labeled = (name: string, value: string): Namespace => ({ name, labels: { value }, annotations: {} });

/** An API server that answers in turn, and counts. */
function namespaces(...answers: (Namespace | undefined | Error)[]) {
  let asked = 0;
  const lookup = new Namespaces({
    getNamespace: async () => {
      asked++;
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return { lookup, asked: () => asked };
}

describe('Namespaces', () => {
  test('are read again each time', async () => {
    const { lookup } = namespaces(labeled('a', 'old'), labeled('a', 'new'), undefined);
    expect((await lookup.get('a'))?.labels).toEqual({ value: 'old' });
    expect((await lookup.get('a'))?.labels).toEqual({ value: 'new' });
    expect(await lookup.get('a')).toBeUndefined();
  });

  test('are asked for once by all that ask meanwhile', async () => {
    const { lookup, asked } = namespaces(labeled('a', '1'));
    const all = await Promise.all([lookup.get('a'), lookup.get('a'), lookup.get('a')]);
    expect(all.map((namespace) => namespace?.labels['value'])).toEqual(['1', '1', '1']);
    expect(asked()).toBe(1);
  });

  test('are as last seen while the API server is gone, and only then', async () => {
    const { lookup } = namespaces(
      labeled('a', '1'),
      unavailable,
      forbidden,
      unavailable,
      undefined,
      unavailable,
    );
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
    const { lookup } = namespaces(...names.map((name) => labeled(name, '1')), unavailable, unavailable);
    for (const name of names) await lookup.get(name);
    expect((await lookup.get('n1'))?.name).toBe('n1');
    await expect(lookup.get('n0')).rejects.toBe(unavailable);
  });
});
