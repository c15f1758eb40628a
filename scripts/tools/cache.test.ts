import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { exists, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../run.ts';
import { Cache } from './cache.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const report = () => {};
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cache-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const onLinux = test.skipIf(process.platform !== 'linux');

onLinux('two who want the same thing at once make it once', async () => {
  let made = 0;
  const make = async (path: string) => {
    made += 1;
    await Bun.write(path, 'whole');
  };
  const cache = () => new Cache(folder, report);
  const paths = await Promise.all([cache().get('thing', make), cache().get('thing', make)]);
  expect(paths).toEqual([join(folder, 'thing'), join(folder, 'thing')]);
  expect(made).toBe(1);
  expect(await Bun.file(join(folder, 'thing')).text()).toBe('whole');
});

onLinux('a failed build leaves nothing, and the next one starts from nothing', async () => {
  const cache = new Cache(folder, report);
  const fails = async (path: string) => {
    await Bun.write(join(path, 'half'), 'half');
    throw new Error('no network');
  };
  await expect(cache.get('thing', fails)).rejects.toThrow('cannot make thing: no network\n');
  const path = await cache.get('thing', (partial) => Bun.write(join(partial, 'whole'), '').then(() => {}));
  expect(await exists(join(path, 'half'))).toBe(false);
  expect(await exists(join(path, 'whole'))).toBe(true);
});

onLinux('a program that is missing is named by itself', async () => {
  const make = () => run(['no-such-program']).then(() => {});
  await expect(new Cache(folder, report).get('thing', make)).rejects.toThrow(
    'cannot run no-such-program: it is not on PATH. Install it, and run this again.',
  );
});

test('of what was made before yesterday, only what is named is removed', async () => {
  for (const name of ['old-1.tar', 'new-1.tar', 'old-2.other']) await Bun.write(join(folder, name), '');
  for (const name of ['old-1.tar', 'old-2.other']) await utimes(join(folder, name), 1, 1);
  await new Cache(folder, report).removeOld(/\.tar$/);
  expect((await readdir(folder)).sort()).toEqual(['new-1.tar', 'old-2.other']);
});
