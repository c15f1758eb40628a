import type { ApiClient } from './api-client.ts';
import { ClusterUnavailable } from './cluster-unavailable.ts';

/** Namespaces of Kubernetes itself, and the one that kind adds. */
const SYSTEM = /^(default|kube-.+|local-path-storage)$/;
/** What a test before has made and deleted: an API server without controllers never ends it. */
const TESTED = /^(gms|test)-[0-9a-f]{8}$/;
const NAMED = 5;

interface List {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly namespace?: string;
      readonly deletionTimestamp?: string;
    };
  }[];
}

/**
 * Only reads. Throws {@link ClusterUnavailable} unless the cluster is empty: it has no Namespace but those of Kubernetes
 * itself, and no Pod outside kube-system and its like.
 */
export async function requireEmptyCluster(api: ApiClient): Promise<void> {
  const namespaces = (await api.json<List>('GET', '/api/v1/namespaces')).items
    .filter(({ metadata: { name, deletionTimestamp } }) => !(deletionTimestamp && TESTED.test(name)))
    .map(({ metadata: { name } }) => name);
  const strange = namespaces.filter((name) => !SYSTEM.test(name)).map((name) => `Namespace ${name}`);
  const pods = (await api.json<List>('GET', '/api/v1/namespaces/default/pods')).items;
  const found = [...strange, ...pods.map(({ metadata: { name } }) => `Pod default/${name}`)];
  if (found.length === 0) return;
  const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : '';
  throw new ClusterUnavailable(
    `cannot test on the cluster ${api.server}: it is not empty (${found.slice(0, NAMED).join(', ')}${more}). ` +
      'Name a cluster that was made for these tests, or unset TEST_KUBECONFIG.',
  );
}
