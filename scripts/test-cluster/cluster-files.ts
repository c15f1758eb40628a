import { join } from 'node:path';
import { prometheusOperatorCRDs } from '../tools/crds.ts';
import type { Cache } from './cache.ts';
import { type CertManagerFiles, certManagerFiles } from './cert-manager.ts';
import { requireMachine } from './cluster-unavailable.ts';
import { debianRoot, pauseArchive, serverBase, toolsArchive } from './images.ts';
import { kubernetesPrograms } from './kubernetes-programs.ts';
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

/** Makes what the cache lacks for a mode, and no more. Throws ClusterUnavailable where the machine cannot. */
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
