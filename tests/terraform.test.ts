import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { ATTRIBUTE_MAPPING } from '../scripts/provider/plan.ts';
import { run } from '../scripts/run.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const FOLDER = join(import.meta.dir, '../docs/terraform');

test('the Terraform example maps the attributes that the script maps', async () => {
  const main = await Bun.file(join(FOLDER, 'main.tf')).text();
  const [, block = ''] = /attribute_mapping = \{\n(.*?)\n {2}\}/s.exec(main) ?? [];
  const pairs = [...block.matchAll(/"(.+?)" *= "(.+?)"/g)].map(([, key, value]) => [key, value]);
  expect(Object.fromEntries(pairs)).toEqual(ATTRIBUTE_MAPPING);
});

test.skipIf(Bun.which('terraform') === null)('it is HCL, formatted as Terraform formats it', async () => {
  const { exitCode, stdout } = await run(['terraform', 'fmt', '-check', '-diff', FOLDER]);
  expect([exitCode, stdout]).toEqual([0, '']);
});
