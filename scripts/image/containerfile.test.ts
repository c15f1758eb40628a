import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { serverImageSettings } from './server-image.ts';

const REPOSITORY = join(import.meta.dir, '../..');

/** What the Containerfile has after a word at the beginning of a line, the last time. */
async function instruction(word: string): Promise<string | undefined> {
  const lines = (await Bun.file(join(REPOSITORY, 'Containerfile')).text()).split('\n');
  return lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
}

test('the Containerfile builds with the Bun that package.json pins', async () => {
  const { devDependencies } = await Bun.file(join(REPOSITORY, 'package.json')).json();
  expect(await Bun.file(join(REPOSITORY, 'Containerfile')).text()).toContain(
    `ARG BUILDER=oven/bun:${devDependencies.bun}-`,
  );
});

test('its image starts as that of scripts/build-image, as the user of the module', async () => {
  const { user, entrypoint, environment } = serverImageSettings({ version: '1', created: new Date(0) });
  expect(await instruction('USER')).toBe(user);
  const pods = await Bun.file(
    join(REPOSITORY, 'timoni/gke-metadata-server/templates/config/types.cue'),
  ).text();
  expect(`${idIn(pods, 'runAsUser')}:${idIn(pods, 'runAsGroup')}`).toBe(user);
  expect(await instruction('ENTRYPOINT')).toBe(JSON.stringify(entrypoint));
  expect(await instruction('ENV')).toBe(Object.entries(environment).flat().join('='));
});

/** The default of an ID that the module gives its Pods. */
function idIn(module: string, name: string): string | undefined {
  return new RegExp(`${name}: +#ID & \\(\\*(\\d+)`).exec(module)?.[1];
}
