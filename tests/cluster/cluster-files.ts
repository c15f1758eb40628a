import { join } from 'node:path';
import { Unavailable } from '../../scripts/required-programs.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { certManagerCRDs, prometheusOperatorCRDs } from '../../scripts/tools/crds.ts';
import { goBuild } from '../../scripts/tools/go-build.ts';
import { debianRoot, pauseArchive, serverBase, toolsArchive } from './images.ts';
import { nodePackages } from './node-services.ts';

/** What a cluster is started from, all of it in the cache. */
export interface ClusterFiles {
  readonly etcd: string;
  readonly kubeApiServer: string;
  readonly certManager: CertManagerFiles;
  /** The folder of the CustomResourceDefinitions of the Prometheus operator, of which nothing else is here. */
  readonly prometheusOperator: string;
  readonly node?: {
    /** The folder of the other programs of Kubernetes. */
    readonly programs: string;
    /** The Node's Debian root. */
    readonly root: string;
    /** The docker-archives that every Node has. */
    readonly images: readonly string[];
  };
}

/** Makes what the cache lacks for a mode. Throws Unavailable if this machine cannot run it. */
export async function prepareCluster(mode: 'api' | 'node', cache: Cache): Promise<ClusterFiles> {
  requireMachine(mode);
  const apiServer = kubernetesPrograms('api', cache);
  // after the API server, with which they share most of what is compiled
  const others = mode === 'node' ? apiServer.then(() => kubernetesPrograms('node', cache)) : undefined;
  // each as much as the machine can carry
  const certManager = (others ?? apiServer).then(() => certManagerFiles(cache));
  const etcd = debianRoot('etcd', ['etcd-server'], cache);
  const roots = mode === 'node' ? etcd.then(() => nodeFiles(cache)) : undefined;
  const crds = prometheusOperatorCRDs(cache);
  const made = await Promise.all([apiServer, others, etcd, roots, certManager, crds]);
  const [apiPrograms, programs, etcdRoot, node, certManagerMade, prometheusOperator] = made;
  return {
    etcd: join(etcdRoot, 'usr/bin/etcd'),
    kubeApiServer: join(apiPrograms, 'kube-apiserver'),
    certManager: certManagerMade,
    prometheusOperator,
    ...(programs && node && { node: { programs, ...node } }),
  };
}

async function nodeFiles(cache: Cache): Promise<{ root: string; images: string[] }> {
  const root = await debianRoot('node', nodePackages, cache);
  await serverBase(cache); // no image of a Node's own, but made of downloads like them
  return { root, images: [await pauseArchive(cache), await toolsArchive(cache)] };
}

const certManagerSource = join(import.meta.dir, '../../scripts/tools/cert-manager');

interface CertManagerFiles {
  /** Its controllers for self-signed and CA issuers, and its CA injector, in one program. */
  readonly program: string;
  /** The folder of its CustomResourceDefinitions. */
  readonly crds: string;
}

/** cert-manager, out of the cache. */
async function certManagerFiles(cache: Cache): Promise<CertManagerFiles> {
  const folder = await goBuild({ name: 'cert-manager', source: certManagerSource, packages: ['.'] }, cache);
  return { program: join(folder, 'cert-manager'), crds: await certManagerCRDs(cache) };
}

/** Its go.mod pins Kubernetes, its go.sum what that is built from. */
const kubernetesSource = join(import.meta.dir, 'kubernetes');

const programsByMode = {
  api: ['kube-apiserver'],
  node: ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
} as const;

/** The folder holding `kube-apiserver` (api), or the four programs more that a Node takes (node). */
async function kubernetesPrograms(mode: 'api' | 'node', cache: Cache): Promise<string> {
  const goMod = await Bun.file(join(kubernetesSource, 'go.mod')).text();
  const version = /^require k8s\.io\/kubernetes v(\S+)/m.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${kubernetesSource}/go.mod does not require k8s.io/kubernetes`);
  const packages = programsByMode[mode].map((program) => `k8s.io/kubernetes/cmd/${program}`);
  const name = `kubernetes-${version}-${mode}`;
  return goBuild({ name, source: kubernetesSource, packages, linkerFlags: versionFlags(version) }, cache);
}

/** Clients parse the server's version, which a plain `go build` leaves at v0.0.0-master. */
function versionFlags(version: string): string[] {
  const [major, minor] = version.split('.');
  const stamps = {
    gitVersion: `v${version}`,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return packages.flatMap((name) =>
    Object.entries(stamps).map(([field, value]) => `-X ${name}.${field}=${value}`),
  );
}

/** Throws {@link Unavailable} naming the first thing that is missing. */
function requireMachine(mode: 'api' | 'node'): void {
  if (process.platform !== 'linux') throw new Unavailable(`this is ${process.platform}, not Linux`);
  const programs = ['go', 'openssl', 'apt-get', 'dpkg-deb', 'tar', 'nice', 'flock'];
  if (mode === 'node') {
    if (process.getuid?.() !== 0) throw new Unavailable('a Node needs root');
    programs.push('unshare', 'nsenter', 'ip', 'mount', 'pivot_root');
  }
  const missing = programs.filter((program) => Bun.which(program) === null);
  if (missing.length > 0) throw new Unavailable(`this machine lacks ${missing.join(', ')}`);
}
