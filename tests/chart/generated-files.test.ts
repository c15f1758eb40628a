import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { chartFolder, generatedChartFiles } from '../../scripts/module/chart.ts';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';

test("the chart's files that are made of the module are current: ./scripts/generate chart writes them", async () => {
  const files = await generatedChartFiles(await ModuleRenderer.prepare(new Cache()));
  for (const [path, content] of files) {
    expect([path, await Bun.file(join(chartFolder, path)).text()]).toEqual([path, content]);
  }
}, 600_000);
