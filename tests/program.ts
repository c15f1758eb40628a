import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A command of `gke-metadata-server` as a process of its own, ended with what starts it. */
export interface Program extends AsyncDisposable {
  readonly healthPort: number;
  /** Sends a signal, and resolves with the exit code and everything it wrote. */
  end(signal: NodeJS.Signals): Promise<{ readonly exitCode: number; readonly log: string }>;
  /** Waits for its /readyz. Throws with its log if it does not become ready; it has ended then. */
  ready(): Promise<void>;
}

const MAIN = join(import.meta.dir, '../server/main.ts');
const READY_TIMEOUT = 60_000;

/**
 * The command line of `gke-metadata-server`, without its arguments: one bundle of the sources, which starts in half the
 * time that they need. It is removed with the process that made it.
 */
export async function serverProgram(): Promise<readonly string[]> {
  bundle ??= bundled();
  // the program must not outlive a test that is killed
  return [process.execPath, '--no-orphans', await bundle];
}

let bundle: Promise<string> | undefined;

async function bundled(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-program-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await Bun.build({ entrypoints: [MAIN], target: 'bun', outdir: folder });
  return join(folder, 'main.js');
}

/** Starts a command whose health port is `healthPort`; it is run by `program`, or by {@link serverProgram}. */
export async function startProgram(
  args: readonly string[],
  home: string,
  healthPort: number,
  program?: readonly string[],
): Promise<Program> {
  const { PATH } = process.env;
  const child = Bun.spawn([...(program ?? (await serverProgram())), ...args], {
    env: { PATH, HOME: home },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const log = Promise.all([child.stdout.text(), child.stderr.text()]);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return { exitCode: await child.exited, log: (await log).join('\n') };
  };
  return {
    healthPort,
    end,
    async ready() {
      if (await isReady(healthPort, child.exited)) return;
      const ended = await end('SIGKILL');
      throw new Error(`${args[0]} did not get ready:\n${ended.log}`);
    },
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
    },
  };
}

/** Whether /readyz says so, before the process ends or the time is up. */
async function isReady(healthPort: number, exited: Promise<number>): Promise<boolean> {
  const deadline = performance.now() + READY_TIMEOUT;
  let ended = false;
  void exited.then(() => {
    ended = true;
  });
  while (!ended && performance.now() < deadline) {
    if ((await readiness(healthPort)) === 200) return true;
    await Bun.sleep(50);
  }
  return false;
}

/** The status of /readyz; undefined if nobody listens. */
export async function readiness(healthPort: number): Promise<number | undefined> {
  return fetch(`http://127.0.0.1:${healthPort}/readyz`).then(
    (response) => response.status,
    () => undefined,
  );
}
