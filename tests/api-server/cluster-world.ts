import { KubeConfig } from '@kubernetes/client-node';
import type { JWTPayload } from 'jose';
import type { KubernetesObject, ModuleValues } from '../../scripts/module/render.ts';
import { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import type { AnyCluster } from '../cluster/any-cluster.ts';
import type { ApiClient } from '../cluster/api-client.ts';
import { Objects } from '../cluster/objects.ts';
import { ModuleInstance } from '../module-instance.ts';
import type { ServeWorld } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';

export interface Made {
  readonly metadata: { readonly name: string; readonly uid: string };
}

export interface PodOptions {
  readonly name: string;
  readonly nodeName: string;
  readonly serviceAccountName: string;
  readonly address: string;
  readonly hostNetwork?: boolean;
}

/** A Node made by hand, with a Pod of `serve` on it. */
export interface ServerNode extends ServeWorld {
  readonly uid: string;
  /** What the kubelet would mount into the Pod of `serve`: bound to it, and so naming its Node. */
  readonly token: string;
}

export interface TokenRequestOptions {
  readonly serviceAccountName: string;
  /** By default the provider's. */
  readonly audiences?: readonly string[];
  /** By default the API server's, an hour. */
  readonly expirationSeconds?: number;
  readonly boundTo?: { readonly kind: string; readonly name: string; readonly uid?: string };
  /** Who asks; by default the administrator. */
  readonly as?: string;
}

const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const POOL = `principal://iam.googleapis.com/projects/${PROVIDER.projectNumber}/locations/global/workloadIdentityPools/${PROVIDER.pool}`;
const PROJECT_ID = 'cluster-project';
const NODE_KEYS = 'gke-metadata-server.matheuscscp.io';
const ACCESS = ['ClusterRole', 'ClusterRoleBinding'];
const VALUES = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
  settings: { projectID: PROJECT_ID, workloadIdentityProvider: PROVIDER.name },
  policy: { nodeIdentity: { enabled: true } },
  test: { enabled: true, googleServiceAccount: `test@${PROJECT_ID}.iam.gserviceaccount.com` },
};
const CONTAINERS = [{ name: 'main', image: 'none' }];

/**
 * A real API server and the stand-in Google that trusts its keys, with a Namespace of its own in which everything
 * is made, Pods and Nodes by hand as no kubelet is there. Its names are its own: many fit into one cluster.
 */
export class ClusterWorld implements AsyncDisposable {
  readonly projectID = PROJECT_ID;
  readonly provider = PROVIDER;
  /** The claims of each token of the cluster's that Google has verified. */
  readonly subjects: JWTPayload[] = [];
  readonly #objects: Objects;
  readonly #made: string[] = [];

  private constructor(
    private readonly cluster: AnyCluster,
    readonly google: StandInGoogle,
    /** What ships, of which only what is applied is there. */
    readonly module: ModuleInstance,
  ) {
    this.#objects = new Objects(cluster.api);
  }

  /** With the ServiceAccounts and RBAC that ship, and no more of the module; `values` beside those of all worlds. */
  static async start(cluster: AnyCluster, values: ModuleValues = {}): Promise<ClusterWorld> {
    const name = `gms-${crypto.randomUUID().slice(0, 8)}`;
    const module = await ModuleInstance.render({ ...VALUES, ...values }, { name, namespace: name });
    const world = new ClusterWorld(cluster, await new StandInGoogle().start(), module);
    try {
      await world.#make('/api/v1/namespaces', { metadata: { name } });
      await world.apply(module.object('ServiceAccount', ''), ...module.objects('server', ...ACCESS));
      await world.apply(...module.objects('webhook', 'ServiceAccount', ...ACCESS));
      await world.apply(
        ...module.set('webhook').filter(({ kind }) => ['Role', 'RoleBinding'].includes(kind)),
      );
      const { issuer } = await world.api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
      world.google.addProvider({
        provider: PROVIDER,
        issuer,
        jwks: await world.api.json('GET', '/openid/v1/jwks'),
        attributeCondition: (claims) => world.subjects.push(claims) > 0,
      });
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** As the cluster's administrator. */
  get api(): ApiClient {
    return this.cluster.api;
  }

  /** Where the Pods and ServiceAccounts are. */
  get path(): string {
    return `/api/v1/namespaces/${this.namespace}`;
  }

  get namespace(): string {
    return this.module.namespace;
  }

  /** Applies objects, which go with the world. */
  async apply(...objects: readonly KubernetesObject[]): Promise<void> {
    for (const object of objects) {
      await this.#objects.apply(object);
      this.#made.push(await this.#objects.path(object));
    }
  }

  /** The object as it is now; `T` is the caller's word for what the API server sends. */
  async read<T>(object: KubernetesObject): Promise<T> {
    return this.api.json('GET', await this.#objects.path(object));
  }

  /** A ServiceAccount, annotated with `googleAccount` where given, which lets it use it unless told not to. */
  async addServiceAccount(name: string, googleAccount?: string, mayUse = true): Promise<void> {
    const annotations =
      googleAccount === undefined ? {} : { 'iam.gke.io/gcp-service-account': googleAccount };
    await this.#make(`${this.path}/serviceaccounts`, { metadata: { name, annotations } });
    if (googleAccount === undefined) return;
    this.google.serviceAccounts.add(googleAccount);
    if (!mayUse) return;
    const member = `${POOL}/subject/system:serviceaccount:${this.namespace}:${name}`;
    this.google.serviceAccounts.bind(googleAccount, 'roles/iam.workloadIdentityUser', member);
  }

  /** The principal that a ServiceAccount is to Google. */
  principal(serviceAccountName: string): string {
    return `${POOL}/subject/system:serviceaccount:${this.namespace}:${serviceAccountName}`;
  }

  /** A Pod that runs and has an address. */
  async addPod({ name, address, hostNetwork = false, ...spec }: PodOptions): Promise<Made> {
    const pod = await this.#make(`${this.path}/pods`, {
      metadata: { name },
      spec: { ...spec, hostNetwork, containers: CONTAINERS },
    });
    await this.#patchStatus(`${this.path}/pods/${name}`, {
      phase: 'Running',
      startTime: new Date().toISOString(),
      podIP: address,
      podIPs: [{ ip: address }],
    });
    return pod;
  }

  /** At once, as no kubelet is there to confirm it. */
  async deletePod(name: string): Promise<void> {
    await this.api.text('DELETE', `${this.path}/pods/${name}?gracePeriodSeconds=0`);
  }

  /** A Node, and the Pod of `serve` on it; host-network Pods there are `serviceAccountName`, where given. */
  async addNode(suffix: string, serviceAccountName?: string): Promise<ServerNode> {
    const nodeName = `${this.namespace}-${suffix}`;
    const annotations = serviceAccountName && {
      [`${NODE_KEYS}/serviceAccountName`]: serviceAccountName,
      [`${NODE_KEYS}/serviceAccountNamespace`]: this.namespace,
    };
    const node = await this.#make('/api/v1/nodes', { metadata: { name: nodeName, annotations } });
    await this.#patchStatus(`/api/v1/nodes/${nodeName}`, {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    });
    const name = `server-${suffix}`;
    const pod = { name, nodeName, serviceAccountName: this.module.serverAccount, address: '127.0.0.1' };
    const { uid } = (await this.addPod({ ...pod, hostNetwork: true })).metadata;
    const token = await this.tokenOf(pod.serviceAccountName, { kind: 'Pod', name, uid });
    // the API server learns of RBAC a moment after it is made
    await waitUntil('the server may list', async () => {
      return (await this.api.fetch('GET', `/api/v1/nodes?limit=1`, { token })).ok;
    });
    const { google, projectID, provider } = this;
    const kubeconfig = kubeconfigWith(this.cluster.kubeconfig, token);
    return { nodeName, uid: node.metadata.uid, token, kubeconfig, google, projectID, provider };
  }

  /** A kubeconfig of the webhook's ServiceAccount. */
  async webhookKubeconfig(): Promise<string> {
    const token = await this.tokenOf(this.module.webhookAccount);
    return kubeconfigWith(this.cluster.kubeconfig, token);
  }

  /** A token for the API server itself. */
  async tokenOf(serviceAccountName: string, boundTo?: TokenRequestOptions['boundTo']): Promise<string> {
    const request = { serviceAccountName, audiences: [], ...(boundTo && { boundTo }) };
    const { status, answer } = await this.requestToken(request);
    if (status !== 201) throw new Error(`no token of ${serviceAccountName}: ${answer.message}`);
    return answer.status.token;
  }

  /** What the API server answers to a TokenRequest. */
  async requestToken({
    serviceAccountName,
    audiences = [PROVIDER.audience],
    expirationSeconds,
    boundTo,
    as,
  }: TokenRequestOptions): Promise<{
    status: number;
    answer: { readonly message: string; readonly status: { readonly token: string } };
  }> {
    const boundObjectRef = boundTo && { apiVersion: 'v1', ...boundTo };
    const path = `${this.path}/serviceaccounts/${serviceAccountName}/token`;
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences, expirationSeconds, boundObjectRef },
    };
    const response = await this.api.fetch('POST', path, { body, ...(as !== undefined && { token: as }) });
    // a TokenRequest or a Status, told apart by the HTTP status
    return { status: response.status, answer: (await response.json()) as never };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.google[Symbol.asyncDispose]();
    // a cluster of one's own goes as a whole, and may be gone already
    const deletions = this.#made
      .reverse()
      .map((path) => this.api.text('DELETE', `${path}?gracePeriodSeconds=0`));
    await Promise.allSettled(deletions);
  }

  async #make(
    collection: string,
    object: { readonly metadata: object; readonly spec?: object },
  ): Promise<Made> {
    const made = await this.api.json<Made>('POST', collection, { body: object });
    this.#made.push(`${collection}/${made.metadata.name}`);
    return made;
  }

  async #patchStatus(path: string, status: object): Promise<void> {
    const contentType = 'application/merge-patch+json';
    await this.api.text('PATCH', `${path}/status`, { contentType, body: { status } });
  }
}

/** The cluster of a kubeconfig, with another user. */
function kubeconfigWith(kubeconfig: string, token: string): string {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${kubeconfig} names no current cluster`);
  config.loadFromClusterAndUser(cluster, { name: 'service-account', token });
  return config.exportConfig();
}
