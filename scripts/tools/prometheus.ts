import { join } from 'node:path';
import type { Cache } from './cache.ts';
import { goBuild } from './go-build.ts';

/** A Prometheus that discovers its targets by the Kubernetes API, which Debian's is compiled without. */
export async function kubernetesPrometheus(cache: Cache): Promise<string> {
  const folder = await goBuild(
    {
      name: 'prometheus',
      source: join(import.meta.dir, 'prometheus'),
      packages: ['github.com/prometheus/prometheus/cmd/prometheus'],
      // the other discoveries are the SDKs of a dozen clouds
      tags: ['remove_all_sd', 'enable_kubernetes_sd'],
    },
    cache,
  );
  return join(folder, 'prometheus');
}
