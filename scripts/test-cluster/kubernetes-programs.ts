import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';
import { type Cache, type Report, seconds } from './cache.ts';

/** The folder of its go.mod, which pins Kubernetes, and its go.sum, which pins what that is built from. */
const source = join(import.meta.dir, 'kubernetes');

const packagesByMode = {
  api: ['kube-apiserver'],
  node: ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
} as const;

/**
 * The folder holding `kube-apiserver` (api), or the four programs more that a Node takes (node). Compiled from
 * the Go module proxy once for each version and kept: minutes when cold, which the cache reports the progress of.
 */
export async function kubernetesPrograms(mode: 'api' | 'node', cache: Cache): Promise<string> {
  const [goMod, goSum] = await Promise.all(
    ['go.mod', 'go.sum'].map((name) => Bun.file(join(source, name)).text()),
  );
  const version = /^require k8s\.io\/kubernetes v(\S+)/m.exec(goMod ?? '')?.[1];
  if (version === undefined) throw new Error(`${source}/go.mod requires no k8s.io/kubernetes`);
  const pins = new Bun.CryptoHasher('sha256').update(`${goMod}${goSum}`).digest('hex').slice(0, 12);
  const programs = packagesByMode[mode];
  return cache.get(`kubernetes-${version}-${mode}-${pins}`, async (folder) => {
    await mkdir(folder, { recursive: true });
    await build(folder, version, programs, cache.report);
  });
}

async function build(
  folder: string,
  version: string,
  programs: readonly string[],
  report: Report,
): Promise<void> {
  const begin = performance.now();
  let packages = 0;
  const progress = setInterval(() => {
    report(`compiling ${programs.join(', ')}: ${packages} packages, ${seconds(performance.now() - begin)}`);
  }, 15_000);
  try {
    // no more eager than what else this machine does meanwhile, such as the quick tests
    await runOrThrow(
      [
        ...['nice', '-n', '15', 'go', 'build', '-v', '-trimpath', '-buildvcs=false', '-mod=readonly'],
        ...['-ldflags', linkerFlags(version), '-o', `${folder}/`],
        ...programs.map((program) => `k8s.io/kubernetes/cmd/${program}`),
      ],
      {
        cwd: source,
        env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
        timeout: 3_600_000,
        onErrorLine: () => {
          packages += 1;
        },
      },
    );
  } finally {
    clearInterval(progress);
  }
}

/** Clients parse the server's version, which a plain `go build` leaves at v0.0.0-master. */
function linkerFlags(version: string): string {
  const [major, minor] = version.split('.');
  const stamps = {
    gitVersion: `v${version}`,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const variables = packages.flatMap((name) =>
    Object.entries(stamps).map(([field, value]) => `-X ${name}.${field}=${value}`),
  );
  return ['-s', '-w', ...variables].join(' ');
}
