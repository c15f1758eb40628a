import { join } from 'node:path';

/** A command of `gke-metadata-server` as a process of its own, ended with what starts it. */
export interface Program extends AsyncDisposable {
  readonly healthPort: number;
  /** Sends a signal, and resolves with the exit code and everything it wrote. */
  end(signal: NodeJS.Signals): Promise<{ readonly exitCode: number; readonly log: string }>;
  /** Waits for its /readyz. Throws, with its log, where it does not get there; it has ended then. */
  ready(): Promise<void>;
}

const MAIN = join(import.meta.dir, '../server/main.ts');
const READY_TIMEOUT = 60_000;

// it must not outlive a test that is killed
const FROM_SOURCE = [process.execPath, '--no-orphans', MAIN];

/** Starts a command whose health port is `healthPort`; `program` is what runs it. */
export function startProgram(
  args: readonly string[],
  home: string,
  healthPort: number,
  program: readonly string[] = FROM_SOURCE,
): Program {
  const { PATH } = process.env;
  const child = Bun.spawn([...program, ...args], {
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

/** The status of /readyz; undefined where nobody listens. */
export async function readiness(healthPort: number): Promise<number | undefined> {
  return fetch(`http://127.0.0.1:${healthPort}/readyz`).then(
    (response) => response.status,
    () => undefined,
  );
}
