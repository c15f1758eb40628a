import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Instance, type ModuleValues, renderModule } from '../scripts/module/render.ts';
import { installSchemas, moduleFolder } from '../scripts/module/schemas.ts';
import { run, runOrThrow } from '../scripts/run.ts';
import { Cache } from '../scripts/tools/cache.ts';
import type { AnyCluster } from './cluster/any-cluster.ts';
import { applySets } from './cluster/apply-sets.ts';

export interface Installation extends Pick<Instance, 'name' | 'namespace'> {
  readonly values: ModuleValues;
  /** Whether the cluster has controllers and a Node, without which no Pod gets ready. */
  readonly hasNodes: boolean;
}

/** Who applies the module on this machine, for a person to read. */
export function installer(): string {
  const timoni = Bun.which('timoni');
  return timoni === null
    ? 'timoni is not on PATH: the module is applied by server-side apply, set after set, and no bundle is'
    : `the module is applied by ${timoni}`;
}

/**
 * Installs the module, or upgrades it to these values: with Timoni if it is on PATH, else the way that Timoni does.
 * Resolves with the warnings of the API server when all of it is healthy. Throws if it does not become so.
 */
export async function installModule(
  cluster: Pick<AnyCluster, 'api' | 'kubeconfig'>,
  installation: Installation,
): Promise<readonly string[]> {
  const timoni = Bun.which('timoni');
  if (timoni !== null) return byTimoni(timoni, cluster.kubeconfig, installation);
  const sets = await renderModule(installation.values, installation);
  return (await applySets(cluster.api, sets, installation)).warnings;
}

/** Removes what {@link installModule} has installed. */
export async function uninstallModule(
  cluster: Pick<AnyCluster, 'api' | 'kubeconfig'>,
  { name, namespace, hasNodes }: Omit<Installation, 'values'>,
): Promise<void> {
  const timoni = Bun.which('timoni');
  if (timoni === null) {
    await applySets(cluster.api, [], { name, namespace, hasNodes });
    return;
  }
  const flags = [`--namespace=${namespace}`, `--kubeconfig=${cluster.kubeconfig}`, '--log-color=false'];
  await runOrThrow([timoni, 'delete', name, ...flags]);
}

async function byTimoni(
  program: string,
  kubeconfig: string,
  { values, name, namespace, hasNodes }: Installation,
): Promise<readonly string[]> {
  await installSchemas(new Cache());
  const folder = await mkdtemp(join(tmpdir(), 'gkems-values-'));
  try {
    const file = join(folder, 'values.json');
    await Bun.write(file, JSON.stringify({ values }));
    const flags = [`--namespace=${namespace}`, `--values=${file}`, `--kubeconfig=${kubeconfig}`];
    const waiting = hasNodes ? ['--timeout=5m'] : ['--wait=false'];
    const command = [program, 'apply', name, moduleFolder, ...flags, ...waiting, '--log-color=false'];
    const { exitCode, stdout, stderr } = await run(command, {
      env: { ...process.env, HOME: folder, TIMONI_CACHING: 'false' },
    });
    if (exitCode !== 0) throw new Error(`timoni apply: ${exitCode ?? 'killed'}\n${stdout}${stderr}`);
    // besides them it prints what it does
    return stderr.split('\n').filter((line) => line !== '' && !/\bINF\b/.test(line));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
