import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** Files of a control group, by version: cgroup v1 has a hierarchy of its own for memory. */
const V1 = {
  parent: join(ROOT, 'memory'),
  limits: ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'],
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
};
const V2 = {
  parent: ROOT,
  limits: ['memory.max', 'memory.swap.max'],
  peak: 'memory.peak',
  events: 'memory.events',
};

async function version(): Promise<typeof V1> {
  return access(join(ROOT, 'cgroup.controllers')).then(
    () => V2,
    () => V1,
  );
}

/** Why no process can be given a memory limit here, or undefined. */
export async function whyNoMemoryGroup(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    await using _ = await MemoryGroup.make(64 * 1024 * 1024);
    return undefined;
  } catch (error) {
    return `needs a writable cgroup with the memory controller: ${error instanceof Error ? error.message : error}`;
  }
}

/** A control group whose processes have so much memory, together, and are killed if they want more: a Pod's. */
export class MemoryGroup implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    private readonly files: typeof V1,
  ) {}

  static async make(bytes: number): Promise<MemoryGroup> {
    const files = await version();
    if (files === V2) await delegateMemory();
    const folder = join(files.parent, `gkems-test-${crypto.randomUUID()}`);
    await mkdir(folder);
    const group = new MemoryGroup(folder, files);
    const [limit, swap] = files.limits;
    try {
      await writeFile(join(folder, limit ?? ''), `${bytes}`);
      // none of it swapped; a kernel that counts no swap has no such file
      await writeFile(join(folder, swap ?? ''), files === V2 ? '0' : `${bytes}`).catch(() => {});
      return group;
    } catch (error) {
      await rmdir(folder);
      throw error;
    }
  }

  /** The command that runs `command` in the group, in the same process. It ends with the process that starts it. */
  running(command: readonly string[]): string[] {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec setpriv --pdeathsig KILL -- "$@"';
    return ['sh', '-c', enter, this.folder, ...command];
  }

  /** The most bytes that were used at a time; undefined if the kernel does not say. */
  async peak(): Promise<number | undefined> {
    const text = await readFile(join(this.folder, this.files.peak), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : Number(text);
  }

  /** How often a process of the group was killed for its memory. */
  async kills(): Promise<number> {
    const events = await readFile(join(this.folder, this.files.events), 'utf8');
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
  }

  /** Removes the group, whose processes must be ending. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const deadline = performance.now() + 10_000; ; ) {
      try {
        return await rmdir(this.folder);
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await Bun.sleep(20);
      }
    }
  }
}

/** With v2 a group has only the controllers that its parent hands down. */
async function delegateMemory(): Promise<void> {
  const file = join(ROOT, 'cgroup.subtree_control');
  if ((await readFile(file, 'utf8')).split(/\s+/).includes('memory')) return;
  await writeFile(file, '+memory');
}
