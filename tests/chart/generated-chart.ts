import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChartFiles, chartOf, writeChart } from '../../scripts/chart/chart.ts';
import type { ModuleRenderer } from '../../scripts/module/render.ts';
import { moduleFolder } from '../../scripts/module/schemas.ts';
import type { Cache } from '../../scripts/test-cluster/cache.ts';

const scripts = join(import.meta.dir, '../../scripts');

/** The chart of the module as it is now, from the cache where neither it nor what generates the chart has changed. */
export async function generatedChart(renderer: ModuleRenderer, cache: Cache): Promise<ChartFiles> {
  const own = [...new Bun.Glob('{chart,module}/*.ts').scanSync(scripts)].map((file) => join(scripts, file));
  const module = [...new Bun.Glob('**/*.cue').scanSync(moduleFolder)]
    .filter((file) => !file.startsWith('cue.mod/gen'))
    .map((file) => join(moduleFolder, file));
  const digest = new Bun.CryptoHasher('sha256');
  for (const file of [...own, ...module].sort()) digest.update(await Bun.file(file).text());
  await cache.removeOld(/^chart-/);
  const folder = await cache.get(`chart-${digest.digest('hex').slice(0, 12)}`, async (path) => {
    await writeChart(await chartOf(renderer, '0.0.0-devel'), path);
  });
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  return new Map(
    await Promise.all(
      files
        .filter((file) => file.isFile())
        .map(async ({ parentPath, name }): Promise<[string, string]> => {
          const path = join(parentPath, name);
          return [path.slice(folder.length + 1), await Bun.file(path).text()];
        }),
    ),
  );
}
