import { Unavailable } from '../../scripts/required-programs.ts';
import { ApiClient } from './api-client.ts';
import { type ClusterOptions, startCluster } from './start-cluster.ts';

/** What any cluster has for a test. */
export interface AnyCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** As the kubeconfig's user, who must be an administrator. */
  readonly api: ApiClient;
}

/** The variable that names a cluster for the tests. It is their own: KUBECONFIG is a person's, and no test reads it. */
const TEST_KUBECONFIG = 'TEST_KUBECONFIG';

/**
 * The cluster that {@link TEST_KUBECONFIG} names, else one of the test's own. Throws {@link Unavailable} if the
 * named cluster is used by others.
 */
export async function anyCluster(
  options: ClusterOptions,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<AnyCluster> {
  return (await namedCluster(environment, options.report)) ?? startCluster(options);
}

/** The cluster that {@link TEST_KUBECONFIG} names, after a look at what is in it; undefined if it names none. */
export async function namedCluster(
  { [TEST_KUBECONFIG]: kubeconfig }: NodeJS.ProcessEnv,
  report: (line: string) => void = console.error,
): Promise<AnyCluster | undefined> {
  if (!kubeconfig) return undefined;
  const api = new ApiClient(kubeconfig);
  report(`the tests write into the cluster that ${TEST_KUBECONFIG} names: ${api.server}`);
  await requireEmptyCluster(api);
  return { kubeconfig, api, async [Symbol.asyncDispose]() {} };
}

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
 * Only reads. Throws {@link Unavailable} unless the cluster is empty: it has no Namespace but those of Kubernetes
 * itself, and no Pod outside kube-system and its like.
 */
async function requireEmptyCluster(api: ApiClient): Promise<void> {
  const namespaces = (await api.json<List>('GET', '/api/v1/namespaces')).items
    .filter(({ metadata: { name, deletionTimestamp } }) => !(deletionTimestamp && TESTED.test(name)))
    .map(({ metadata: { name } }) => name);
  const strange = namespaces.filter((name) => !SYSTEM.test(name)).map((name) => `Namespace ${name}`);
  const pods = (await api.json<List>('GET', '/api/v1/namespaces/default/pods')).items;
  const found = [...strange, ...pods.map(({ metadata: { name } }) => `Pod default/${name}`)];
  if (found.length === 0) return;
  const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : '';
  throw new Unavailable(
    `cannot test on the cluster ${api.server}: it is not empty (${found.slice(0, NAMED).join(', ')}${more}). ` +
      'Name a cluster that was made for these tests, or unset TEST_KUBECONFIG.',
  );
}
