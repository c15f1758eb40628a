import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunOptions, run, runOrThrow } from '../../scripts/run.ts';
import { end, isRunning, type ProcessIdentity, startDaemon } from './daemon.ts';

/** The addresses of a Node, of the host as the Node and its Pods reach it, and of its Pods. */
export interface NodeNetwork {
  /** The host's end of the cable; the Node's is `eth0`. */
  readonly interface: string;
  readonly host: readonly string[];
  readonly node: readonly string[];
  readonly pods: readonly string[];
}

/** The `number`th network; no two clusters of a machine share one. */
function nodeNetwork(number: number, dualStack: boolean): NodeNetwork {
  const hex = number.toString(16);
  const both = (ipv4: string, ipv6: string) => (dualStack ? [ipv4, ipv6] : [ipv4]);
  return {
    interface: `gms-node${number}`,
    // the addresses RFC 2544 keeps for tests of network devices, and unique local ones
    host: both(`198.18.${number}.1`, `fd00:198:18:${hex}::1`),
    node: both(`198.18.${number}.2`, `fd00:198:18:${hex}::2`),
    pods: both(`10.244.${number}.0/24`, `fd00:10:244:${hex}::/64`),
  };
}

interface MachineFiles {
  /** A Debian root, shared and left unchanged. */
  readonly root: string;
  /** Becomes /usr/local/bin. */
  readonly programs: string;
  /** Becomes /etc/cluster. */
  readonly configuration: string;
  /** Becomes /var/lib; on disk, for containerd lays overlays upon it. */
  readonly data: string;
  readonly log: string;
}

/**
 * Turns a process into a machine of its own: namespaces for mounts, processes, network and name, with a Debian
 * root. Whatever runs in it ends with its first process, and every mount, address, route, bridge and firewall
 * rule goes with it; only its control groups are the host's.
 */
const bootScript = `
set -e
root=$1 programs=$2 configuration=$3 data=$4 name=$5
mount --make-rprivate /
work=$configuration.root
mkdir -p "$work"
mount -t tmpfs -o mode=755 node "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" node "$work/root"
cd "$work/root"
mkdir -p proc sys dev run mnt var/lib var/log etc/cluster usr/local/bin
ln -s ../run var/run
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount --bind "$data" var/lib
mount --bind -o ro "$programs" usr/local/bin
mount --bind "$configuration" etc/cluster
# The kubelet would set these for the whole host; it sees them set.
mkdir run/kernel
for value in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \\
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=run/kernel/$(echo "\${value%=*}" | tr / .)
  echo "\${value#*=}" >"$file"
  mount --bind "$file" "proc/sys/\${value%=*}"
done
echo "$name" >proc/sys/kernel/hostname
echo 1 >proc/sys/net/ipv4/ip_forward
if [ -e proc/sys/net/ipv6 ]; then echo 1 >proc/sys/net/ipv6/conf/all/forwarding; fi
printf '127.0.0.1 localhost\\n::1 localhost\\n' >etc/hosts
: >etc/resolv.conf
pivot_root . mnt
umount -l mnt
mount --make-rshared /
: >/run/booted
# the children that daemons leave behind end here; the kernel buries them
exec /bin/busybox sh -c 'trap "" CHLD; while :; do /bin/busybox sleep 86400; done'
`;

/** A Node's machine: see {@link bootScript}. */
export class NodeMachine {
  readonly #first: number;

  private constructor(
    first: number,
    readonly network: NodeNetwork,
  ) {
    this.#first = first;
  }

  /** Starts it; `recorded` gets what {@link removeMachine} needs before there is anything to remove. */
  static async boot(
    name: string,
    files: MachineFiles,
    dualStack: boolean,
    recorded: (machine: MachineRecord) => Promise<void>,
  ): Promise<NodeMachine> {
    await mkdir(files.data, { recursive: true });
    const namespaces = ['--mount', '--pid', '--net', '--uts', '--ipc', '--fork', '--kill-child'];
    const script = [
      'sh',
      '-c',
      bootScript,
      'boot',
      files.root,
      files.programs,
      files.configuration,
      files.data,
      name,
    ];
    const parent = await startDaemon(['unshare', ...namespaces, ...script], files.log);
    await recorded({ parent, controlGroup: name });
    const first = await firstProcess(parent, files.log);
    const network = await connect(first, dualStack);
    await makeControlGroups(name);
    return new NodeMachine(first, network);
  }

  /** Runs a program in it until it ends. */
  run(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return runOrThrow(this.#enter(command), options);
  }

  /** Starts a program in it that ends with it. */
  start(command: readonly string[], log: string): Promise<ProcessIdentity> {
    return startDaemon(this.#enter(command), log);
  }

  #enter(command: readonly string[]): string[] {
    const namespaces = ['--mount', '--pid', '--net', '--uts', '--ipc'];
    const path = 'PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    return [
      'nsenter',
      `--target=${this.#first}`,
      ...namespaces,
      '--',
      '/usr/bin/env',
      '-i',
      path,
      ...command,
    ];
  }
}

/** All that is left to do, should the program that started the machine be gone. */
export interface MachineRecord {
  /** Its end is the end of everything in the machine. */
  readonly parent: ProcessIdentity;
  readonly controlGroup: string;
}

export async function removeMachine({ parent, controlGroup }: MachineRecord): Promise<void> {
  await end(parent, 0);
  await removeControlGroups(controlGroup);
}

/** The process that is 1 inside, once it has booted. */
async function firstProcess(parent: ProcessIdentity, log: string): Promise<number> {
  while (isRunning(parent)) {
    const children = await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').catch(
      () => '',
    );
    const first = Number.parseInt(children, 10);
    if (first > 0 && (await Bun.file(`/proc/${first}/root/run/booted`).exists())) return first;
    await Bun.sleep(10);
  }
  throw new Error(`the Node's machine did not start:\n${await Bun.file(log).text()}`);
}

/** Lays a cable between the host and the machine. The interface's name, which only one can have, claims a network. */
async function connect(first: number, dualStack: boolean): Promise<NodeNetwork> {
  const inside = ['nsenter', `--target=${first}`, '--net', '--'];
  for (let number = 0; number < 256; number += 1) {
    const network = nodeNetwork(number, dualStack);
    const cable = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(first)];
    const added = await run(['ip', 'link', 'add', network.interface, ...cable]);
    if (added.exitCode !== 0) {
      if (added.stderr.includes('File exists')) continue;
      throw new Error(`cannot lay a cable to the Node: ${added.stderr}`);
    }
    await runOrThrow([...inside, 'ip', 'link', 'set', 'lo', 'up']);
    await plug([], network.interface, network.host);
    await plug(inside, 'eth0', network.node);
    for (const [index, node] of network.node.entries()) {
      await runOrThrow([...inside, 'ip', 'route', 'add', 'default', 'via', network.host[index] ?? '']);
      await runOrThrow(['ip', 'route', 'add', network.pods[index] ?? '', 'via', node]);
    }
    return network;
  }
  throw new Error('no network is free: 256 Nodes run on this machine');
}

async function plug(inside: readonly string[], device: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    // usable at once: nobody else is on the cable to have taken the address
    const options = address.includes(':')
      ? [`${address}/64`, 'dev', device, 'nodad']
      : [`${address}/24`, 'dev', device];
    await runOrThrow([...inside, 'ip', 'address', 'add', ...options]);
  }
  await runOrThrow([...inside, 'ip', 'link', 'set', device, 'up']);
}

const controlGroupRoot = '/sys/fs/cgroup';

/** One for each hierarchy of cgroup v1, one in all with v2. */
async function hierarchies(): Promise<string[]> {
  if (await Bun.file(join(controlGroupRoot, 'cgroup.controllers')).exists()) return [controlGroupRoot];
  return (await readdir(controlGroupRoot)).map((name) => join(controlGroupRoot, name));
}

/** The groups of that name beneath which the kubelet makes its own. */
async function makeControlGroups(name: string): Promise<void> {
  await delegateControllers();
  for (const hierarchy of await hierarchies()) await mkdir(join(hierarchy, name), { recursive: true });
}

/** With v2 a group has only the controllers its parent hands down, and the kubelet wants these. */
async function delegateControllers(): Promise<void> {
  const file = join(controlGroupRoot, 'cgroup.subtree_control');
  if (!(await Bun.file(file).exists())) return;
  const delegated = (await readFile(file, 'utf8')).trim().split(' ');
  const lacking = ['cpu', 'cpuset', 'memory', 'pids'].filter((controller) => !delegated.includes(controller));
  if (lacking.length > 0) await writeFile(file, lacking.map((controller) => `+${controller}`).join(' '));
}

/** Removes them with all beneath once their processes, which must be ending, have left. Throws after half a minute. */
async function removeControlGroups(name: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (const hierarchy of await hierarchies()) {
    const folder = join(hierarchy, name);
    while (!(await removeTree(folder))) {
      if (performance.now() > deadline) throw new Error(`${folder} is still in use`);
      await Bun.sleep(20);
    }
  }
}

/** Whether all of it is gone; a control group is removed from its leaves up, its files go by themselves. */
async function removeTree(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((child) => child.isDirectory())) {
    await removeTree(join(folder, entry.name));
  }
  return rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}
