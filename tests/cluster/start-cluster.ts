import { copyFile, mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../scripts/free-ports.ts';
import { Cache, type Report } from '../../scripts/tools/cache.ts';
import { ApiClient } from './api-client.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { apiServerReady, Cluster, until } from './cluster.ts';
import { type ClusterFiles, prepareCluster } from './cluster-files.ts';
import { type ClusterRecord, readRecord, stopCluster, writeRecord } from './cluster-state.ts';
import {
  apiServerFlags,
  type ClusterUsers,
  type ControlPlane,
  controllerManagerFlags,
  etcdFlags,
  kubeconfig,
  kubernetesServiceAddresses,
  makeClusterUsers,
  schedulerFlags,
  tokenFile,
} from './control-plane.ts';
import type { ProcessIdentity } from './daemon.ts';
import { startDaemon } from './daemon.ts';
import { NodeMachine } from './node-machine.ts';
import { nodeConfiguration, startNodeServices } from './node-services.ts';
import { applyCustomResources } from './objects.ts';

export interface ClusterOptions {
  /** `api` is etcd and the API server, on 127.0.0.1; `node` adds the controllers, the scheduler and one Node. */
  readonly mode: 'api' | 'node';
  /** Pods, Services and the Node have IPv6 addresses too. By default not. */
  readonly dualStack?: boolean;
  /** cert-manager is in it, and the kinds of the Prometheus operator. By default not. */
  readonly certManager?: boolean;
  /** Flags of kube-apiserver beside its own; of a flag given twice the later counts, but lists add up. */
  readonly apiServerFlags?: readonly string[];
  /** Where its state lives, new or empty; by default a folder of its own among the temporary ones. */
  readonly folder?: string;
  /** Told what is being made and started. */
  readonly report?: Report;
  /** Stops it on its way: nothing is left of it, and its reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Starts a cluster, after making what the cache lacks. Several may run side by side. If it fails,
 * nothing is left of it. Throws Unavailable if the machine cannot.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const files = await prepareCluster(options.mode, new Cache(undefined, options.report));
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'gke-metadata-server-cluster-')));
  options.signal?.throwIfAborted();
  if (await readRecord(folder)) throw new Error(`a cluster is up already in ${folder}`);
  await requireEmpty(folder);
  try {
    return await new Starting(folder, files, options).start();
  } catch (error) {
    await stopCluster(folder);
    throw error;
  }
}

/** What is in the folder goes with the cluster: nothing of anybody else's may be there. */
async function requireEmpty(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new Error(`cannot start a cluster in ${folder}: ${error.message}`);
  });
  if (entries.length === 0) return;
  throw new Error(
    `cannot start a cluster in ${folder}: the folder is not empty, and is removed with the cluster. Name a new folder.`,
  );
}

/** The way from nothing to a running cluster, recorded at each step. */
class Starting {
  readonly #name = `gms-${crypto.randomUUID().slice(0, 8)}`;
  readonly #users: ClusterUsers = makeClusterUsers(this.#name);
  #record: ClusterRecord;

  constructor(
    readonly folder: string,
    readonly files: ClusterFiles,
    readonly options: ClusterOptions,
  ) {
    const { mode } = options;
    this.#record = { mode, kubeconfig: join(folder, 'admin.kubeconfig'), processes: {} };
  }

  async start(): Promise<Cluster> {
    const { folder, files } = this;
    await this.#save({});
    await mkdir(join(folder, 'logs'));
    for (const name of ['cni', 'static']) await mkdir(join(folder, 'node', name), { recursive: true });
    const machine = files.node && (await this.#bootMachine(files.node));
    const plane = await this.#controlPlane(machine);
    await this.#writeAccess(plane);

    await this.#daemon('etcd', [files.etcd, ...etcdFlags(plane)]);
    const apiServer = [files.kubeApiServer, ...apiServerFlags(plane)];
    const process = await this.#daemon('kube-apiserver', apiServer);
    const api = new ApiClient(this.#record.kubeconfig);
    await apiServerReady(api, process, this.#log('kube-apiserver'), this.options.signal);
    this.options.report?.('kube-apiserver is ready');
    if (this.options.certManager) await this.#startCertManager(api);
    if (files.node && machine) {
      const { programs, images } = files.node;
      const controllers = [join(programs, 'kube-controller-manager'), ...controllerManagerFlags(plane)];
      const controllerManager = await this.#daemon('kube-controller-manager', controllers);
      await this.#daemon('kube-scheduler', [join(programs, 'kube-scheduler'), ...schedulerFlags(plane)]);
      await this.#writeNodeConfiguration(machine, plane.certificates);
      await startNodeServices(machine, this.#name, join(folder, 'logs'), images);
      await this.#nodeReady(api, controllerManager);
    }
    const node = machine && { name: this.#name, machine };
    return new Cluster({
      ...{ folder, record: this.#record, apiServer, etcdPort: plane.etcdPort },
      ...(node && { node }),
    });
  }

  async #bootMachine({ root, programs }: NonNullable<ClusterFiles['node']>): Promise<NodeMachine> {
    const configuration = join(this.folder, 'node');
    const data = join(this.folder, 'node-data');
    const log = this.#log('node');
    const { dualStack = false } = this.options;
    return NodeMachine.boot(this.#name, { root, programs, configuration, data, log }, dualStack, (machine) =>
      this.#save({ machine }),
    );
  }

  async #controlPlane(machine: NodeMachine | undefined): Promise<ControlPlane> {
    const [apiPort, etcdPort, etcdPeerPort] = await freePorts(3);
    const { folder } = this;
    const address = machine?.network.host[0] ?? '127.0.0.1';
    const certificates = await makeCertificates(
      folder,
      [address, '127.0.0.1', ...kubernetesServiceAddresses],
      machine?.network.node ?? ['127.0.0.1'],
    );
    const { dualStack = false, apiServerFlags: flags = [] } = this.options;
    return {
      ...{ folder, address, apiPort, etcdPort, etcdPeerPort, dualStack, certificates },
      apiServerFlags: flags,
    };
  }

  async #writeAccess({ address, apiPort, certificates }: ControlPlane): Promise<void> {
    const authority = await Bun.file(certificates.authority).text();
    const server = `https://${address}:${apiPort}`;
    const access = (user: keyof ClusterUsers) => kubeconfig(server, authority, this.#users[user]);
    const secret = { mode: 0o600 };
    await Promise.all([
      Bun.write(join(this.folder, 'tokens.csv'), tokenFile(this.#users), secret),
      Bun.write(this.#record.kubeconfig, access('admin'), secret),
      Bun.write(join(this.folder, 'controller-manager.kubeconfig'), access('controllerManager'), secret),
      Bun.write(join(this.folder, 'scheduler.kubeconfig'), access('scheduler'), secret),
      Bun.write(join(this.folder, 'node/kubelet.kubeconfig'), access('kubelet'), secret),
      Bun.write(join(this.folder, 'node/proxy.kubeconfig'), access('proxy'), secret),
    ]);
  }

  async #writeNodeConfiguration(machine: NodeMachine, certificates: Certificates): Promise<void> {
    const folder = join(this.folder, 'node');
    await copyFile(certificates.authority, join(folder, 'ca.crt'));
    await copyFile(certificates.kubelet, join(folder, 'kubelet.crt'));
    await copyFile(certificates.kubeletKey, join(folder, 'kubelet.key'));
    for (const [name, text] of Object.entries(nodeConfiguration(machine.network, this.#name))) {
      await Bun.write(join(folder, name), text);
    }
  }

  /** Until the Node takes Pods and the default ServiceAccount, which they need, is there. */
  async #nodeReady(api: ApiClient, controllerManager: ProcessIdentity): Promise<void> {
    const { signal } = this.options;
    await until('the Node is Ready', this.#log('kubelet'), controllerManager, signal, async () => {
      const node = await api.json<NodeStatus>('GET', `/api/v1/nodes/${this.#name}`);
      const ready = node.status.conditions.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True') throw new Error(`the Node is not Ready: ${ready?.message}`);
      return true;
    });
    this.options.report?.('the Node is Ready');
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await until(
      'Pods can be made',
      this.#log('kube-controller-manager'),
      controllerManager,
      signal,
      async () => {
        return (await api.fetch('GET', account)).ok;
      },
    );
  }

  async #startCertManager(api: ApiClient): Promise<void> {
    const { certManager, prometheusOperator } = this.files;
    for (const folder of [certManager.crds, prometheusOperator]) await applyCustomResources(api, folder);
    await this.#daemon('cert-manager', [certManager.program, `--kubeconfig=${this.#record.kubeconfig}`]);
  }

  #log(name: string): string {
    return join(this.folder, 'logs', `${name}.log`);
  }

  async #daemon(name: string, command: readonly string[]): Promise<ProcessIdentity> {
    const process = await startDaemon(command, this.#log(name));
    // recorded first, so that it is stopped too
    await this.#save({ processes: { ...this.#record.processes, [name]: process } });
    this.options.signal?.throwIfAborted();
    return process;
  }

  async #save(news: Partial<ClusterRecord>): Promise<void> {
    this.#record = { ...this.#record, ...news };
    await writeRecord(this.folder, this.#record);
  }
}

interface NodeStatus {
  readonly status: {
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly message: string;
    }[];
  };
}
