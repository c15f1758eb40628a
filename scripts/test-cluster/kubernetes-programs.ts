import { join } from 'node:path';
import { goBuild } from '../tools/go-build.ts';
import type { Cache } from './cache.ts';

/** The folder of its go.mod, which pins Kubernetes, and its go.sum, which pins what that is built from. */
const source = join(import.meta.dir, 'kubernetes');

const programsByMode = {
  api: ['kube-apiserver'],
  node: ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
} as const;

/** The folder holding `kube-apiserver` (api), or the four programs more that a Node takes (node). */
export async function kubernetesPrograms(mode: 'api' | 'node', cache: Cache): Promise<string> {
  const goMod = await Bun.file(join(source, 'go.mod')).text();
  const version = /^require k8s\.io\/kubernetes v(\S+)/m.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${source}/go.mod requires no k8s.io/kubernetes`);
  const packages = programsByMode[mode].map((program) => `k8s.io/kubernetes/cmd/${program}`);
  const name = `kubernetes-${version}-${mode}`;
  return goBuild({ name, source, packages, linkerFlags: versionFlags(version) }, cache);
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
