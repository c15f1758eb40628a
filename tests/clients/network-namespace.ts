import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runOrThrow } from '../../scripts/run.ts';
import { clusterDns, type DnsBehavior } from './cluster-dns.ts';
import { CleanHome, type PodPlace, variablesFor } from './pod-place.ts';

const METADATA_ADDRESS = '169.254.169.254';
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

/**
 * A network namespace in which 169.254.169.254:80 leads to the server on the host, as in a real Pod, with a DNS
 * server of its own. Needs root on Linux, `ip` and `iptables`. Named by this process and `index`, so that two runs
 * never meet; all of it is gone after disposal.
 */
export async function networkNamespace(index: number, names: PodNames = INJECTED): Promise<PodPlace> {
  const name = namespaceName(process.pid, index);
  const subnet = await freeSubnet(index);
  const [hostAddress, address] = [`${subnet}.1`, `${subnet}.2`];
  const inside = (...command: string[]) => ['ip', 'netns', 'exec', name, ...command];
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await CleanHome.create());
  stack.defer(() => remove(process.pid, index));
  await writeFiles(name, hostAddress, names);
  await create(name, linkName(process.pid, index), hostAddress, address);
  const { dns } = names;
  stack.use(await (typeof dns === 'string' ? clusterDns(hostAddress, dns) : dns(hostAddress)));
  const variables = names.variables ? variablesFor(METADATA_ADDRESS) : {};
  const owned = stack.move();
  return {
    address,
    nodeAddress: hostAddress,
    origin: 'http://metadata.google.internal',
    async connect(serverPort) {
      const match = ['-d', METADATA_ADDRESS, '-p', 'tcp', '--dport', '80'];
      const target = ['-j', 'DNAT', '--to-destination', `${hostAddress}:${serverPort}`];
      await ip('-n', name, 'route', 'delete', 'unreachable', METADATA_ADDRESS);
      await runOrThrow(inside('iptables', '-t', 'nat', '-A', 'OUTPUT', ...match, ...target));
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
async function writeFiles(name: string, nameserver: string, names: PodNames): Promise<void> {
  const { hostsEntry, searchesGoogle } = names;
  const hosts = hostsEntry ? `${METADATA_ADDRESS} metadata.google.internal\n` : '';
  const search = [...SEARCH_DOMAINS, ...(searchesGoogle ? ['google.internal'] : [])].join(' ');
  await mkdir(join(FILES, name), { recursive: true });
  await writeFile(join(FILES, name, 'hosts'), `127.0.0.1 localhost\n${hosts}`);
  await writeFile(
    join(FILES, name, 'resolv.conf'),
    `search ${search}\nnameserver ${nameserver}\noptions ndots:5\n`,
  );
}

async function create(name: string, link: string, hostAddress: string, address: string): Promise<void> {
  await ip('netns', 'add', name);
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await ip('address', 'add', `${hostAddress}/30`, 'dev', link);
  await ip('link', 'set', link, 'up');
  await ip('-n', name, 'address', 'add', `${address}/30`, 'dev', 'eth0');
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  await ip('-n', name, 'link', 'set', 'eth0', 'up');
  await ip('-n', name, 'route', 'add', 'default', 'via', hostAddress);
  // until it is redirected; some machines that run these tests have a metadata server of their own
  await ip('-n', name, 'route', 'add', 'unreachable', METADATA_ADDRESS);
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
