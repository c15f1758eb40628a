import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { installSchemas } from '../../scripts/module/schemas.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { describe, Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { hasTimoni, runTimoni } from '../module/timoni-program.ts';
import { ModuleInstance } from '../module-instance.ts';

const ROOT = join(import.meta.dir, '../..');

test.skipIf(!hasTimoni)(
  'bundles/development.cue installs the module of this working tree, as told by the environment',
  async () => {
    await using cluster = await startCluster({ mode: 'api', certManager: true });
    await installSchemas(new Cache());
    const environment = {
      KUBECONFIG: cluster.kubeconfig,
      PROJECT_ID: 'example-project',
      WORKLOAD_IDENTITY_PROVIDER:
        'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
      IMAGE_REPOSITORY: 'registry.example.com/gke-metadata-server',
      IMAGE_DIGEST: `sha256:${'0'.repeat(64)}`,
    };
    const flags = ['--file=timoni/bundles/development.cue', '--runtime-from-env', '--wait=false'];
    await runTimoni(['bundle', 'apply', ...flags], { cwd: ROOT, environment });

    const values = {
      image: { repository: environment.IMAGE_REPOSITORY, digest: environment.IMAGE_DIGEST },
      settings: {
        projectID: environment.PROJECT_ID,
        workloadIdentityProvider: environment.WORKLOAD_IDENTITY_PROVIDER,
        logLevel: 'debug',
      },
    };
    const instance = { name: 'gke-metadata-server', namespace: 'gke-metadata-server' };
    const { sets } = await ModuleInstance.render(values, instance);
    const objects = new Objects(cluster.api);
    for (const object of sets.flatMap((set) => set.objects)) {
      const installed = await objects.get(object);
      // what cue renders of the same values would change nothing
      const { spec } = await objects.apply(object, { dryRun: true });
      expect([describe(object), installed?.['spec']]).toEqual([describe(object), spec]);
    }
  },
  180_000,
);
