import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../scripts/free-ports.ts';
import type { SandboxWorld } from '../server/sandbox/sandbox-world.ts';
import { type Program, startProgram } from './program.ts';

/** What `serve` is configured with. */
export type ServeWorld = Pick<SandboxWorld, 'kubeconfig' | 'nodeName' | 'projectID' | 'provider' | 'google'>;

/** `gke-metadata-server serve` as a process of its own. */
export interface ServeProcess extends Program {
  readonly port: number;
}

/** Starts it for the world's Node and waits until it is ready. Throws with its log if it does not. */
export async function startServe(world: ServeWorld, ...flagsOfTest: string[]): Promise<ServeProcess> {
  const serve = await launchServe(world, ...flagsOfTest);
  try {
    await serve.ready();
  } catch (error) {
    await serve[Symbol.asyncDispose]();
    throw error;
  }
  return serve;
}

/** Starts it without waiting for anything. */
export async function launchServe(world: ServeWorld, ...flagsOfTest: string[]): Promise<ServeProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-serve-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(kubeconfig, world.kubeconfig, { mode: 0o600 });
  const [port, healthPort] = await freePorts(2);
  const flags = {
    '--node-name': world.nodeName,
    '--project-id': world.projectID,
    '--workload-identity-provider': world.provider.name,
    '--kubeconfig': kubeconfig,
    '--google-sts-endpoint': world.google.url,
    '--google-iam-credentials-endpoint': world.google.url,
    '--server-port': `${port}`,
    '--health-port': `${healthPort}`,
  };
  const args = ['serve', ...Object.entries(flags).flat(), ...flagsOfTest];
  const program = await startProgram(args, folder, healthPort);
  return {
    ...program,
    port,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
