import { join } from 'node:path';
import { ApiClient } from './api-client.ts';
import { type ClusterRecord, stopCluster, writeRecord } from './cluster-state.ts';
import { end, isRunning, type ProcessIdentity, startDaemon } from './daemon.ts';
import type { NodeMachine } from './node-machine.ts';
import { importImage, registryHosts } from './node-services.ts';

interface ClusterParts {
  readonly folder: string;
  readonly record: ClusterRecord;
  readonly apiServer: readonly string[];
  readonly etcdPort: number;
  readonly node?: { readonly name: string; readonly machine: NodeMachine };
}

/** A manifest for the kubelet itself. */
interface StaticPod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: object };
  readonly spec: object;
}

/** A running cluster of one's own, which startCluster makes. Disposing of it stops it. */
export class Cluster implements AsyncDisposable {
  /** Its state, and the logs of its programs in `logs`. */
  readonly folder: string;
  /** Of the cluster's administrator. */
  readonly kubeconfig: string;
  /** As the cluster's administrator. */
  readonly api: ApiClient;
  readonly #parts: ClusterParts;
  #record: ClusterRecord;

  constructor(parts: ClusterParts) {
    this.folder = parts.folder;
    this.kubeconfig = parts.record.kubeconfig;
    this.api = new ApiClient(this.kubeconfig);
    this.#parts = parts;
    this.#record = parts.record;
  }

  /** The Node's name. Throws if the cluster has none. */
  get nodeName(): string {
    return this.#node.name;
  }

  /** The host, as the Node and its Pods reach it: IPv4, then IPv6 if the cluster has it. */
  get hostAddresses(): readonly string[] {
    return this.#node.machine.network.host;
  }

  /** The Node's own addresses. */
  get nodeAddresses(): readonly string[] {
    return this.#node.machine.network.node;
  }

  /** Puts a docker-archive among the Node's images; Pods name it with `imagePullPolicy: Never`. */
  loadImage(archive: string): Promise<void> {
    return importImage(this.#node.machine, archive);
  }

  /** Lets the Node find a registry, `HOST:PORT` in the names of images, at a URL. */
  async mirrorRegistry(registry: string, url: string): Promise<void> {
    await Bun.write(join(this.folder, 'node/registries', registry, 'hosts.toml'), registryHosts(url));
  }

  /** Has the kubelet run a Pod from a file of the Node's: the API server gets a mirror of it, `NAME-NODE`. */
  async addStaticPod(pod: StaticPod): Promise<void> {
    await Bun.write(join(this.folder, 'node/static', `${pod.metadata.name}.json`), JSON.stringify(pod));
  }

  /** Runs a program of the Node's Debian root on the Node, such as `iptables`, and returns its output. */
  runOnNode(command: readonly string[]): Promise<string> {
    return this.#node.machine.run(command);
  }

  /** Ends the API server as a crash does: connections and watches break off. */
  async stopApiServer(): Promise<void> {
    const apiServer = this.#record.processes['kube-apiserver'];
    if (apiServer) await end(apiServer, 0);
  }

  /** Starts it again with the same address and data, and waits until it is ready. `flags` come before its own. */
  async startApiServer(flags: readonly string[] = []): Promise<void> {
    const log = join(this.folder, 'logs/kube-apiserver.log');
    const [program = '', ...own] = this.#parts.apiServer;
    const process = await startDaemon([program, ...flags, ...own], log);
    const processes = { ...this.#record.processes, 'kube-apiserver': process };
    this.#record = { ...this.#record, processes };
    await writeRecord(this.folder, this.#record);
    await apiServerReady(this.api, process, log);
  }

  /** As {@link startApiServer}. */
  async restartApiServer(flags: readonly string[] = []): Promise<void> {
    await this.stopApiServer();
    await this.startApiServer(flags);
  }

  /**
   * Drops all history before the latest revision from etcd. A watch from an older resourceVersion then gets 410 once the API server has
   * forgotten it too: after a restart, or at once with `--watch-cache=false`.
   */
  async compactEtcd(): Promise<void> {
    // etcd's JSON gateway (v3.4 dev-guide/api_grpc_gateway); keys are base64, "AA==" is the zero byte
    const status = await this.#etcd('/v3/kv/range', { key: 'AA==', limit: '1' });
    await this.#etcd('/v3/kv/compaction', { revision: revisionOf(status), physical: true });
  }

  async #etcd(path: string, body: unknown): Promise<unknown> {
    const url = `http://127.0.0.1:${this.#parts.etcdPort}${path}`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok)
      throw new Error(`etcd answered ${path} with ${response.status}: ${await response.text()}`);
    return response.json();
  }

  /** Ends everything of the cluster and removes its folder. */
  async stop(): Promise<void> {
    await stopCluster(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #node() {
    const { node } = this.#parts;
    if (!node) throw new Error('this cluster has no Node: start it with mode "node"');
    return node;
  }
}

/** Waits until `/readyz` is ok. Throws with the end of its log if it has ended or takes minutes. */
export async function apiServerReady(
  api: ApiClient,
  process: ProcessIdentity,
  log: string,
  signal?: AbortSignal,
): Promise<void> {
  const isReady = async () => (await api.fetch('GET', '/readyz')).ok;
  await until(`kube-apiserver is ready`, log, process, signal, isReady);
}

/** Asks every 50 ms, taking an error for a no, for two minutes at most and while the process runs. */
export async function until(
  what: string,
  log: string,
  process: ProcessIdentity,
  signal: AbortSignal | undefined,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + 120_000;
  let last: unknown;
  while (performance.now() < deadline && isRunning(process)) {
    signal?.throwIfAborted();
    try {
      if (await isSo()) return;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(50);
  }
  const end = (await Bun.file(log).text()).trim().split('\n').slice(-15).join('\n');
  throw new Error(`waited in vain until ${what}; ${log} ends with:\n${end}`, { cause: last });
}

function revisionOf(response: unknown): string {
  // the header every etcd answer carries; checked at once
  const revision = (response as { header?: { revision?: unknown } }).header?.revision;
  if (typeof revision !== 'string') throw new Error('etcd names no revision');
  return revision;
}
