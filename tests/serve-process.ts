import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxWorld } from '../server/sandbox/sandbox-world.ts';

/** `gke-metadata-server serve` as a process of its own. */
export interface ServeProcess extends AsyncDisposable {
  readonly port: number;
  readonly healthPort: number;
  /** Sends a signal, and resolves with the exit code and everything it wrote. */
  end(signal: NodeJS.Signals): Promise<{ readonly exitCode: number; readonly log: string }>;
}

const MAIN = join(import.meta.dir, '../server/main.ts');
const READY_TIMEOUT = 60_000;

/** Starts it for the world's Node and waits until it is ready. Throws, with its log, where it does not get there. */
export async function startServe(world: SandboxWorld, ...flagsOfTest: string[]): Promise<ServeProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-serve-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(kubeconfig, world.kubeconfig);
  const [port, healthPort] = freePorts();
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
  const { PATH } = process.env;
  const child = Bun.spawn(
    // it must not outlive a test that is killed
    [process.execPath, '--no-orphans', MAIN, 'serve', ...Object.entries(flags).flat(), ...flagsOfTest],
    {
      env: { PATH, HOME: folder },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  const log = Promise.all([child.stdout.text(), child.stderr.text()]);
  const dispose = async () => {
    child.kill('SIGKILL');
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  if (!(await isReady(healthPort, child.exited))) {
    await dispose();
    throw new Error(`serve did not get ready:\n${(await log).join('\n')}`);
  }
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return { exitCode: await child.exited, log: (await log).join('\n') };
  };
  return { port, healthPort, end, [Symbol.asyncDispose]: dispose };
}

/** Whether /readyz says so, before the process ends or the time is up. */
async function isReady(healthPort: number, exited: Promise<number>): Promise<boolean> {
  const deadline = Date.now() + READY_TIMEOUT;
  let ended = false;
  void exited.then(() => {
    ended = true;
  });
  while (!ended && Date.now() < deadline) {
    const status = await fetch(`http://127.0.0.1:${healthPort}/readyz`).then(
      (response) => response.status,
      () => undefined,
    );
    if (status === 200) return true;
    await Bun.sleep(50);
  }
  return false;
}

/** Two ports that nobody listens on: `serve` takes no 0, as its Pods must know where it is. */
export function freePorts(): [number, number] {
  const listeners = [0, 0].map((port) =>
    Bun.listen({ hostname: '::', port, socket: { data: () => undefined } }),
  );
  const [first, second] = listeners.map((listener) => listener.port);
  for (const listener of listeners) listener.stop(true);
  if (first === undefined || second === undefined) throw new Error('the system gave no port');
  return [first, second];
}
