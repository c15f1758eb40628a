import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import type { ModuleValues } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import type { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import type { ApiClient } from '../cluster/api-client.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { serverArchive, serverImage, toolsImage } from '../cluster/images.ts';
import { installModule } from '../install-module.ts';
import { waitUntil } from '../wait-until.ts';
import { INJECTED } from './pods.ts';

/** The instance's name. */
export const NAME = 'gke-metadata-server';
/** The Namespace of the server and the webhook. */
export const SYSTEM = 'gke-metadata-server';
/** The API server's path of the server's DaemonSet. */
export const SERVER = `/apis/apps/v1/namespaces/${SYSTEM}/daemonsets/${NAME}`;

interface Product {
  readonly projectID: string;
  readonly provider: WorkloadIdentityProvider;
  readonly googleURL: string;
}

/** The image of the program as it is now, compiled as for a release. */
export async function serverImageArchive(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-compiled-'));
  try {
    const program = join(folder, 'gke-metadata-server');
    await compileServer(program);
    return await serverArchive(program, new Cache());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Installs the module with everything that it enforces, and what `more` says at the top of its values; resolves when
 * all of it is healthy. Throws if the API server returns a warning.
 */
export async function installProduct(
  cluster: Cluster,
  { projectID, provider, googleURL }: Product,
  more: ModuleValues = {},
): Promise<void> {
  const [repository = '', tag = ''] = serverImage.split(':');
  const values = {
    image: { repository, tag },
    settings: {
      projectID,
      workloadIdentityProvider: provider.name,
      googleSTSEndpoint: googleURL,
      googleIAMCredentialsEndpoint: googleURL,
    },
    policy: { nodeIdentity: { enabled: true } },
    ...more,
  };
  const warnings = await installModule(cluster, { name: NAME, namespace: SYSTEM, values, hasNodes: true });
  if (warnings.length > 0) throw new Error(`warnings of the module: ${warnings.join('; ')}`);
}

/** Resolves when the API server asks the webhook, of whose configuration it learns a moment after it is made. */
export async function webhookAsked(api: ApiClient): Promise<void> {
  await waitUntil('the webhook is asked', async () => {
    const pod = await api.json<{ spec: { initContainers?: unknown[] } }>(
      'POST',
      '/api/v1/namespaces/default/pods?dryRun=All',
      {
        body: {
          metadata: { name: 'asks', labels: INJECTED },
          spec: { containers: [{ name: 'main', image: toolsImage }] },
        },
      },
    );
    return pod.spec.initContainers?.length === 1;
  });
}
