import type { ModuleValues } from '../../scripts/module/render.ts';
import { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import type { ApiClient } from '../cluster/api-client.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { CloudStandIns } from './cloud-stand-ins.ts';
import { installProduct, SERVER, SYSTEM, serverImageArchive, webhookAsked } from './installation.ts';
import type { Pod } from './pods.ts';

const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const POOL = `principal://iam.googleapis.com/projects/${PROVIDER.projectNumber}/locations/global/workloadIdentityPools/${PROVIDER.pool}`;
const PROJECT_ID = 'node-project';
const NODE_KEYS = 'gke-metadata-server.matheuscscp.io';
const MERGE = 'application/merge-patch+json';

interface DaemonSet {
  readonly metadata: { readonly generation: number };
  readonly status: {
    readonly observedGeneration?: number;
    readonly desiredNumberScheduled: number;
    readonly updatedNumberScheduled?: number;
    readonly numberAvailable?: number;
    readonly currentNumberScheduled: number;
  };
}

/**
 * A cluster of one real Node with all of the product in it as it ships: the compiled program in its image, the
 * server a DaemonSet, the webhook a Deployment, every policy in force. The stand-in clouds are on the host.
 */
export class NodeWorld implements AsyncDisposable {
  private constructor(
    readonly cluster: Cluster,
    readonly google: StandInGoogle,
    readonly clouds: CloudStandIns,
    private readonly disposables: AsyncDisposableStack,
  ) {}

  /** Resolves when the server and the webhook are ready and the API server asks the webhook. */
  static async start({
    cloudsSpeakHTTPS,
    ...options
  }: {
    readonly dualStack?: boolean;
    readonly cloudsSpeakHTTPS?: boolean;
  } = {}): Promise<NodeWorld> {
    await using disposables = new AsyncDisposableStack();
    const image = await serverImageArchive();
    const cluster = disposables.use(await startCluster({ mode: 'node', certManager: true, ...options }));
    const [hostname = ''] = cluster.hostAddresses;
    const google = disposables.use(await new StandInGoogle({ hostname }).start());
    const { api } = cluster;
    const { issuer } = await api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
    const jwks = await api.json<StandInGoogle['jwks']>('GET', '/openid/v1/jwks');
    google.addProvider({ provider: PROVIDER, issuer, jwks });
    const clouds = disposables.use(
      await CloudStandIns.start(hostname, { issuer, jwks }, google, cloudsSpeakHTTPS),
    );
    await clouds.publishAuthority(api);
    await cluster.loadImage(image);
    const world = new NodeWorld(cluster, google, clouds, disposables.move());
    try {
      await world.install();
      await webhookAsked(api);
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** Installs the module again with `values` over its values; resolves when it is healthy. */
  install(values?: ModuleValues): Promise<void> {
    const product = { projectID: PROJECT_ID, provider: PROVIDER, googleURL: this.google.url };
    return installProduct(this.cluster, product, values);
  }

  get api(): ApiClient {
    return this.cluster.api;
  }

  /** A ServiceAccount of the Namespace `default`, annotated with the Google account of its name; returns its email. */
  async addServiceAccount(name: string): Promise<string> {
    const email = this.addGoogleAccount(name);
    await this.api.text('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { metadata: { name, annotations: { 'iam.gke.io/gcp-service-account': email } } },
    });
    return email;
  }

  /** A Google account that the ServiceAccount of that name in the Namespace `default` may use; returns its email. */
  addGoogleAccount(name: string): string {
    const email = `${name}@${PROJECT_ID}.iam.gserviceaccount.com`;
    this.bind(email, name);
    return email;
  }

  /** Lets the ServiceAccount of that name in the Namespace `default` impersonate the Google account. */
  bind(email: string, name: string): void {
    const member = `${POOL}/subject/system:serviceaccount:default:${name}`;
    this.google.serviceAccounts.bind(email, 'roles/iam.workloadIdentityUser', member);
  }

  /** Lets the Node's host-network Pods be this ServiceAccount of the Namespace `default`. */
  async setNodeServiceAccount(name: string): Promise<void> {
    const annotations = {
      [`${NODE_KEYS}/serviceAccountName`]: name,
      [`${NODE_KEYS}/serviceAccountNamespace`]: 'default',
    };
    const path = `/api/v1/nodes/${this.cluster.nodeName}`;
    await this.api.text('PATCH', path, { contentType: MERGE, body: { metadata: { annotations } } });
  }

  /** The Google account of the token; undefined if it is not Google's. */
  accountOf(accessToken: string): string | undefined {
    return this.google.describe(accessToken)?.principal.member.replace('serviceAccount:', '');
  }

  /** The Pods of the server that there are, ending ones too. */
  async serverPods(): Promise<readonly Pod[]> {
    const selector = 'app.kubernetes.io/component=server';
    const path = `/api/v1/namespaces/${SYSTEM}/pods?labelSelector=${selector}`;
    return (await this.api.json<{ items: Pod[] }>('GET', path)).items;
  }

  /** Changes the server's Pods as `kubectl rollout restart` does; resolves when only the new one is there. */
  async restartServer(): Promise<void> {
    const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
    await this.patchServer({ metadata: { annotations } });
    await waitUntil('the server is updated', async () => {
      const { metadata, status } = await this.api.json<DaemonSet>('GET', SERVER);
      const isCurrent = status.observedGeneration === metadata.generation;
      const isAvailable = status.updatedNumberScheduled === 1 && status.numberAvailable === 1;
      return isCurrent && isAvailable && (await this.serverPods()).length === 1;
    });
  }

  /** Removes the server from the Node, or brings it back. */
  async setServerPresent(isPresent: boolean): Promise<void> {
    // null removes the key
    await this.patchServer({ spec: { nodeSelector: { elsewhere: isPresent ? null : 'true' } } });
  }

  /** A merge patch of the template of the server's Pods. */
  private async patchServer(template: object): Promise<void> {
    await this.api.text('PATCH', SERVER, { contentType: MERGE, body: { spec: { template } } });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposables.disposeAsync();
  }
}
