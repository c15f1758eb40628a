import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instance, KubernetesObject, ModuleValues } from '../../scripts/module/render.ts';
import { moduleFolder } from '../../scripts/module/schemas.ts';
import { runOrThrow } from '../../scripts/run.ts';

const timoni = Bun.which('timoni');

/** Whether the real timoni is on PATH. What is compared with it is skipped without, which scripts/test says. */
export const hasTimoni = timoni !== null;

/** Runs the real timoni and returns what it prints. `environment` comes on top of this process's. */
export function runTimoni(
  args: readonly string[],
  options: { cwd?: string; environment?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { environment, ...rest } = options;
  return runOrThrow([timoni ?? 'timoni', ...args], { ...rest, env: { ...process.env, ...environment } });
}

/** The objects of `timoni build`. */
export async function timoniBuild(
  values: ModuleValues,
  { name, namespace, kubeVersion = '1.30.0' }: Instance,
): Promise<readonly KubernetesObject[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-timoni-'));
  try {
    const file = join(folder, 'values.json');
    await Bun.write(file, JSON.stringify({ values }));
    const printed = await runTimoni(
      ['build', name, moduleFolder, `--namespace=${namespace}`, `--values=${file}`, '--output=json'],
      { environment: { TIMONI_KUBE_VERSION: kubeVersion } },
    );
    // a v1 List
    return (JSON.parse(printed) as { items: readonly KubernetesObject[] }).items;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
