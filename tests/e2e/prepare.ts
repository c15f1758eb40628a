import type { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { prepareCluster } from '../cluster/cluster-files.ts';
import { serverBase, toolsArchive } from '../cluster/images.ts';
import { prepareFlux } from '../flux/prepare.ts';
import { kindClusterName } from './e2e-cluster.ts';

/**
 * Makes what these tests need and the cache lacks: that takes longer than a test may. Throws Unavailable if the
 * machine cannot.
 */
export async function prepareE2E(cache: Cache): Promise<void> {
  if (kindClusterName() === undefined) {
    await prepareCluster('node', cache);
    await prepareFlux(cache);
    return;
  }
  // what a cluster of kind does not bring
  await Promise.all([serverBase(cache), toolsArchive(cache)]);
  for (const name of ['crane', 'cosign'] as const) await goProgram(name, cache);
}
