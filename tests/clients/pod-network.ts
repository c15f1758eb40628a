import { runOrThrow } from '../../scripts/run.ts';
import type { Family } from '../../server/network/redirect-rules.ts';
import { loopback } from './loopback.ts';
import { networkNamespace, type PodNames, removeLeftoverNamespaces } from './network-namespace.ts';
import type { PodPlace } from './pod-place.ts';

/** How this machine can have Pods. */
export interface PodNetwork {
  /** For a person: how clients reach the server, and why not as in a real Pod. */
  readonly description: string;
  /** False if all Pods have the same address, so each needs a server of its own. */
  readonly podsHaveAddresses: boolean;
  /** As an injected Pod has it, or with these names, of which loopback knows nothing. */
  place(index: number, names?: PodNames, family?: Family): Promise<PodPlace>;
}

/** Network namespaces if possible, after installing their tools with apt; else loopback. */
export async function choosePodNetwork(): Promise<PodNetwork> {
  const obstacle = await obstacleToNamespaces();
  if (obstacle === undefined) {
    return {
      description: 'each Pod a network namespace with 169.254.169.254:80 redirected',
      podsHaveAddresses: true,
      place: networkNamespace,
    };
  }
  return {
    description: `by GCE_METADATA_HOST from loopback (no network namespaces: ${obstacle})`,
    podsHaveAddresses: false,
    place: loopback,
  };
}

async function obstacleToNamespaces(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.getuid?.() !== 0) return 'not root';
  try {
    await installTools();
    await removeLeftoverNamespaces();
    // what a container without the capability refuses is found out by trying, with an index no Pod has
    await using place = await networkNamespace(99);
    await place.connect(80);
    return undefined;
  } catch (error) {
    return `${error instanceof Error ? error.message : error}`.trim().replaceAll('\n', ' ');
  }
}

async function installTools(): Promise<void> {
  const packages = { ip: 'iproute2', iptables: 'iptables' };
  const missing = Object.entries(packages).filter(([program]) => Bun.which(program) === null);
  if (missing.length === 0) return;
  const names = missing.map(([, name]) => name);
  if (Bun.which('apt-get') === null) throw new Error(`${names.join(' and ')} not installed`);
  await runOrThrow(['apt-get', 'update']);
  await runOrThrow(['apt-get', 'install', '--yes', '--no-install-recommends', ...names]);
}
