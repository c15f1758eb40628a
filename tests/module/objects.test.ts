import { expect, test } from 'bun:test';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import {
  expectedSets,
  goldenCases,
  isUpdate,
  readExpected,
  unusedFiles,
  writeExpected,
} from './golden-cases.ts';
import { hasTimoni, timoniBuild } from './timoni-program.ts';

const renderer = await ModuleRenderer.prepare(new Cache());

for (const golden of await goldenCases('objects')) {
  const { name, values, instance } = golden;

  test(`objects: ${name}`, async () => {
    const sets = await renderer.render(values, instance);
    if (isUpdate) await writeExpected(golden, sets);
    expect(expectedSets(sets)).toEqual(await readExpected(golden));
  });

  test.skipIf(!hasTimoni)(`as timoni build has them: ${name}`, async () => {
    const sets = await renderer.render(values, instance);
    expect(await timoniBuild(values, instance)).toEqual(sets.flatMap(({ objects }) => objects));
  });
}

test('no file without a use', () => {
  expect(unusedFiles()).toEqual([]);
});
