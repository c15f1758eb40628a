import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { configFields } from '../../scripts/module/config-fields.ts';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { moduleFolder } from '../../scripts/module/schemas.ts';
import { withValuesTable } from '../../scripts/module/values-table.ts';
import { Cache } from '../../scripts/tools/cache.ts';

test('the table of values is that of #Config: ./scripts/generate readme writes it', async () => {
  const fields = await configFields(await ModuleRenderer.prepare(new Cache()));
  const readme = await Bun.file(join(moduleFolder, 'README.md')).text();
  expect(withValuesTable(readme, fields)).toBe(readme);
});

test('a text without the marks of the table is refused', () => {
  expect(() => withValuesTable('# A module\n', [])).toThrow('there is no <!-- made by');
});
