import { ApiClient } from './api-client.ts';
import { type ClusterOptions, startCluster } from './start-cluster.ts';

/** What any cluster has for a test. */
export interface AnyCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** As the kubeconfig's user, who must be an administrator. */
  readonly api: ApiClient;
}

/** The cluster that KUBECONFIG names, of which only what the test itself makes is the test's, or else one of its own. */
export async function anyCluster(options: ClusterOptions): Promise<AnyCluster> {
  const { KUBECONFIG } = process.env;
  if (!KUBECONFIG) return startCluster(options);
  return { kubeconfig: KUBECONFIG, api: new ApiClient(KUBECONFIG), async [Symbol.asyncDispose]() {} };
}
