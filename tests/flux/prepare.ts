import type { Cache } from '../../scripts/tools/cache.ts';
import { fluxCRDs, imagePolicyCRDs, recipeCRDs } from '../../scripts/tools/crds.ts';
import { fluxPrograms } from '../../scripts/tools/flux.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { prepareCluster } from '../cluster/cluster-files.ts';

/**
 * Makes what these tests need and the cache lacks: that takes longer than a test may, ten minutes for Flux alone on two
 * cores. Throws Unavailable if the machine cannot.
 */
export async function prepareFlux(cache: Cache): Promise<void> {
  await prepareCluster('api', cache);
  // each as much as the machine can carry
  await goProgram('crane', cache);
  await goProgram('cosign', cache);
  await fluxPrograms(cache);
  await Promise.all([fluxCRDs(cache), imagePolicyCRDs(cache), recipeCRDs(cache)]);
}
