import { ApiClient } from './api-client.ts';
import { requireEmptyCluster } from './empty-cluster.ts';
import { type ClusterOptions, startCluster } from './start-cluster.ts';

/** What any cluster has for a test. */
export interface AnyCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** As the kubeconfig's user, who must be an administrator. */
  readonly api: ApiClient;
}

/** The variable that names a cluster for the tests. It is their own: KUBECONFIG is a person's, and no test reads it. */
export const TEST_KUBECONFIG = 'TEST_KUBECONFIG';

/**
 * The cluster that {@link TEST_KUBECONFIG} names, else one of the test's own. Throws {@link ClusterUnavailable} if the
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
