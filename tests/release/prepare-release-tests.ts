import { ModuleRenderer } from '../../scripts/module/render.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { serverBase } from '../cluster/images.ts';

/** Makes what these tests use and the cache lacks; that takes longer than a test may. */
export async function prepareReleaseTests(cache: Cache): Promise<void> {
  await Promise.all([ModuleRenderer.prepare(cache), serverBase(cache)]);
  // each takes all of a small machine
  for (const name of ['crane', 'helm', 'cosign'] as const) await goProgram(name, cache);
}
