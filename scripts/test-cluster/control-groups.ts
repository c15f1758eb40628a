import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const controlGroupRoot = '/sys/fs/cgroup';

/** One for each hierarchy of cgroup v1, one in all with v2. */
async function hierarchies(): Promise<string[]> {
  if (await Bun.file(join(controlGroupRoot, 'cgroup.controllers')).exists()) return [controlGroupRoot];
  return (await readdir(controlGroupRoot)).map((name) => join(controlGroupRoot, name));
}

/** The groups of that name beneath which the kubelet makes its own. */
export async function makeControlGroups(name: string): Promise<void> {
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
export async function removeControlGroups(name: string): Promise<void> {
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
