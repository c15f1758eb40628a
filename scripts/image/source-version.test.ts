import { expect, test } from 'bun:test';
import { sourceVersion } from './source-version.ts';

test('SOURCE_DATE_EPOCH is the time of an image, in seconds', async () => {
  const source = await sourceVersion({ SOURCE_DATE_EPOCH: '1000000000' }, { version: '1.2.3', url: 'u' });
  expect(source).toMatchObject({ version: '1.2.3', url: 'u', created: new Date('2001-09-09T01:46:40Z') });
});

test('refuses anything else', async () => {
  await expect(sourceVersion({ SOURCE_DATE_EPOCH: 'yesterday' })).rejects.toThrow(/yesterday/);
});

test('a commit is its whole hash, and its time is that of the image', async () => {
  const { revision, created, version } = await sourceVersion({});
  expect(revision).toMatch(/^[0-9a-f]{40}(-dirty)?$/);
  expect(created.getTime()).toBeGreaterThan(new Date('2024-01-01').getTime());
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
});
