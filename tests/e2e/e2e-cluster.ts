import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { ApiClient } from '../cluster/api-client.ts';
import { toolsArchive } from '../cluster/images.ts';
import { registryHosts } from '../cluster/node-services.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { applyExampleKinds } from '../flux/example-kinds.ts';
import { FluxControllers } from '../flux/flux-controllers.ts';

/** A cluster with Nodes, on which Pods with the tools' image run, and with cert-manager and Flux. */
export interface E2ECluster extends AsyncDisposable {
  readonly kubeconfig: string;
  readonly api: ApiClient;
  /** An address of this machine that the cluster's Nodes and Pods reach. */
  readonly hostAddress: string;
  /** Lets Nodes find a registry, `HOST:PORT` in the names of images, at a URL. */
  mirrorRegistry(registry: string, url: string): Promise<void>;
}

/** The kind cluster that the tests use; undefined if they start their own. */
export function kindClusterName(): string | undefined {
  const { E2E_KIND_CLUSTER } = process.env;
  return E2E_KIND_CLUSTER || undefined;
}

/** The cluster of kind, or one of its own. `folder` is an empty one. */
export function e2eCluster(folder: string): Promise<E2ECluster> {
  const kind = kindClusterName();
  return kind === undefined ? ownCluster(folder) : kindCluster(kind, folder);
}

/** A cluster of the tests. Flux's controllers are processes beside it; cert-manager has no webhook. */
async function ownCluster(folder: string): Promise<E2ECluster> {
  await using resources = new AsyncDisposableStack();
  const cluster = resources.use(await startCluster({ mode: 'node', certManager: true }));
  await applyExampleKinds(new Objects(cluster.api), new Cache());
  resources.use(await FluxControllers.start(cluster.kubeconfig, folder));
  const [hostAddress = ''] = cluster.hostAddresses;
  const owned = resources.move();
  return {
    ...{ kubeconfig: cluster.kubeconfig, api: cluster.api, hostAddress },
    mirrorRegistry: (registry, url) => cluster.mirrorRegistry(registry, url),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A kind cluster with cert-manager and Flux already installed. It is not deleted. */
async function kindCluster(name: string, folder: string): Promise<E2ECluster> {
  const kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(kubeconfig, await runOrThrow(['kind', 'get', 'kubeconfig', '--name', name]), {
    mode: 0o600,
  });
  await runOrThrow(['kind', 'load', 'image-archive', await toolsArchive(new Cache()), '--name', name]);
  const gateways = await runOrThrow([
    ...['docker', 'network', 'inspect', 'kind', '--format'],
    '{{range .IPAM.Config}}{{.Gateway}} {{end}}',
  ]);
  const hostAddress = gateways.split(/\s+/).find((address) => /^[\d.]+$/.test(address));
  if (hostAddress === undefined) throw new Error(`the network of kind has no IPv4 gateway: ${gateways}`);
  return {
    ...{ kubeconfig, api: new ApiClient(kubeconfig), hostAddress },
    async mirrorRegistry(registry, url) {
      const nodes = await runOrThrow(['kind', 'get', 'nodes', '--name', name]);
      const file = join(folder, 'hosts.toml');
      await Bun.write(file, registryHosts(url));
      for (const node of nodes.split('\n').filter(Boolean)) {
        // as https://kind.sigs.k8s.io/docs/user/local-registry/ has it
        const place = `/etc/containerd/certs.d/${registry}`;
        await runOrThrow(['docker', 'exec', node, 'mkdir', '-p', place]);
        await runOrThrow(['docker', 'cp', file, `${node}:${place}/hosts.toml`]);
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}
