import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runOrThrow } from '../../scripts/run.ts';
import { METADATA_ADDRESS, METADATA_HOSTNAME } from '../../server/core/metadata-address.ts';
import { type Family, urlHost } from '../../server/network/redirect-rules.ts';
import { clusterDns, type DnsBehavior } from './cluster-dns.ts';
import { CleanHome, type PodPlace, variablesFor } from './pod-place.ts';

// `ip netns exec` mounts what is in here over /etc, for the program it runs
const FILES = '/etc/netns';
const NAMESPACES = '/run/netns';
const SEARCH_DOMAINS = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];

/** What of a Pod makes clients find the server, beside the redirect of its address. */
export interface PodNames {
  /** How its DNS answers, or what starts a DNS server on the address that it asks. */
  readonly dns: DnsBehavior | ((address: string) => Promise<AsyncDisposable>);
  /** Whether `metadata.google.internal` is in its /etc/hosts, as in an injected Pod. */
  readonly hostsEntry: boolean;
  /** Whether its containers have the three variables, as in an injected Pod. */
  readonly variables: boolean;
  /** Whether `google.internal` is among its search domains, as on GKE. */
  readonly searchesGoogle: boolean;
}

/** As the webhook makes a Pod in a cluster whose DNS knows nothing of Google. */
export const INJECTED: PodNames = {
  dns: 'nxdomain',
  hostsEntry: true,
  variables: true,
  searchesGoogle: false,
};

/** What differs between a Pod with an IPv4 address alone and one with an IPv6 address alone. */
interface FamilyNetwork {
  readonly metadataAddress: string;
  /** For /etc/hosts: the metadata server's address by the webhook, in a cluster of this family. */
  readonly hosts: readonly string[];
  readonly iptables: string;
  readonly prefixLength: number;
  /** The addresses of the host and of the Pod, in a range to which this machine has no route of its own. */
  readonly addresses: (index: number) => Promise<readonly [string, string]>;
}

const NETWORKS: Readonly<Record<Family, FamilyNetwork>> = {
  IPv4: {
    metadataAddress: METADATA_ADDRESS.IPv4,
    hosts: [METADATA_ADDRESS.IPv4],
    iptables: 'iptables',
    prefixLength: 30,
    async addresses(index) {
      const subnet = await freeSubnet(index);
      return [`${subnet}.1`, `${subnet}.2`];
    },
  },
  IPv6: {
    metadataAddress: METADATA_ADDRESS.IPv6,
    hosts: [METADATA_ADDRESS.IPv4, METADATA_ADDRESS.IPv6],
    iptables: 'ip6tables',
    prefixLength: 126,
    async addresses(index) {
      // a process id has at most 22 bits, and unique local ranges are nobody's on a machine that runs tests
      const subnet = `fd9e:${(process.pid >> 16).toString(16)}:${(process.pid & 0xffff).toString(16)}:${index.toString(16)}`;
      return [`${subnet}::1`, `${subnet}::2`];
    },
  },
};

/**
 * A network namespace in which the metadata address, port 80, leads to the server on the host, as in a real Pod, with
 * a DNS server of its own. It has an address of one family only. Needs root on Linux, `ip` and `iptables`. Named by
 * this process and `index`, so that two runs never collide; disposal removes all of it.
 */
export async function networkNamespace(
  index: number,
  names: PodNames = INJECTED,
  family: Family = 'IPv4',
): Promise<PodPlace> {
  const name = namespaceName(process.pid, index);
  const network = NETWORKS[family];
  const { metadataAddress } = network;
  const [hostAddress, address] = await network.addresses(index);
  const inside = (...command: string[]) => ['ip', 'netns', 'exec', name, ...command];
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await CleanHome.create());
  stack.defer(() => remove(process.pid, index));
  await writeFiles(name, hostAddress, names, network);
  await create(name, linkName(process.pid, index), hostAddress, address, network);
  const { dns } = names;
  stack.use(await (typeof dns === 'string' ? clusterDns(hostAddress, dns) : dns(hostAddress)));
  const variables = names.variables ? variablesFor(urlHost(metadataAddress)) : {};
  const owned = stack.move();
  return {
    address,
    nodeAddress: hostAddress,
    origin: `http://${METADATA_HOSTNAME}`,
    async connect(serverPort) {
      const match = ['-d', metadataAddress, '-p', 'tcp', '--dport', '80'];
      const target = ['-j', 'DNAT', '--to-destination', `${urlHost(hostAddress)}:${serverPort}`];
      await ip('-n', name, 'route', 'delete', 'unreachable', metadataAddress);
      await runOrThrow(inside(network.iptables, '-t', 'nat', '-A', 'OUTPUT', ...match, ...target));
    },
    run: (command, more) => home.run(inside(...command), { ...variables, ...more }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Removes what runs that were killed have left behind, and nothing else. */
export async function removeLeftoverNamespaces(): Promise<void> {
  const names = await Promise.all([NAMESPACES, FILES].map((folder) => readdir(folder).catch(() => [])));
  for (const name of new Set(names.flat())) {
    const { pid, index } = /^gkems-test-(?<pid>\d+)-(?<index>\d+)$/.exec(name)?.groups ?? {};
    if (pid !== undefined && !(await isAlive(pid))) await remove(Number(pid), Number(index));
  }
}

function namespaceName(pid: number, index: number): string {
  return `gkems-test-${pid}-${index}`;
}

/** The host's end; the kernel allows 15 characters, and process ids have up to 7. */
function linkName(pid: number, index: number): string {
  return `gkt${pid}-${index}`;
}

/** Its /etc/hosts and /etc/resolv.conf: the latter as the kubelet writes it. */
async function writeFiles(
  name: string,
  nameserver: string,
  names: PodNames,
  network: FamilyNetwork,
): Promise<void> {
  const { hostsEntry, searchesGoogle } = names;
  const hosts = hostsEntry ? network.hosts.map((address) => `${address} ${METADATA_HOSTNAME}\n`) : [];
  const search = [...SEARCH_DOMAINS, ...(searchesGoogle ? ['google.internal'] : [])].join(' ');
  await mkdir(join(FILES, name), { recursive: true });
  await writeFile(join(FILES, name, 'hosts'), `127.0.0.1 localhost\n${hosts.join('')}`);
  await writeFile(
    join(FILES, name, 'resolv.conf'),
    `search ${search}\nnameserver ${nameserver}\noptions ndots:5\n`,
  );
}

async function create(
  name: string,
  link: string,
  hostAddress: string,
  address: string,
  { metadataAddress, prefixLength }: FamilyNetwork,
): Promise<void> {
  // usable at once: nobody else is on this link to have taken the address
  const noDetection = address.includes(':') ? ['nodad'] : [];
  await ip('netns', 'add', name);
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await ip('address', 'add', `${hostAddress}/${prefixLength}`, 'dev', link, ...noDetection);
  await ip('link', 'set', link, 'up');
  await ip('-n', name, 'address', 'add', `${address}/${prefixLength}`, 'dev', 'eth0', ...noDetection);
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  await ip('-n', name, 'link', 'set', 'eth0', 'up');
  await ip('-n', name, 'route', 'add', 'default', 'via', hostAddress);
  // until it is redirected; some machines that run these tests have a metadata server of their own
  await ip('-n', name, 'route', 'add', 'unreachable', metadataAddress);
}

/** As far as it is there. The link goes first: a namespace's death takes its links along only some time later. */
async function remove(pid: number, index: number): Promise<void> {
  await run(['ip', 'link', 'delete', linkName(pid, index)]);
  await run(['ip', 'netns', 'delete', namespaceName(pid, index)]);
  await rm(join(FILES, namespaceName(pid, index)), { recursive: true, force: true });
  // not empty: somebody else's
  await rmdir(FILES).catch(() => undefined);
}

/** The first three numbers of a private /24 to which this machine has no route of its own. */
async function freeSubnet(index: number): Promise<string> {
  for (let attempt = 0; attempt < 64; attempt++) {
    const subnet = `10.${192 + ((process.pid + attempt) % 64)}.${(process.pid + index) % 256}`;
    const routes = await ip('-4', 'route', 'show', 'table', 'all', 'root', `${subnet}.0/24`);
    if (routes === '') return subnet;
  }
  throw new Error('10.192.0.0/10 has no free range for the Pods of this test');
}

/** A process that has ended but that nobody has asked after still has an entry, with nothing in it. */
async function isAlive(pid: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine !== '';
}

function ip(...args: string[]): Promise<string> {
  return runOrThrow(['ip', ...args], { timeout: 60_000 });
}
