import type { Target } from './load.ts';
import { SERVER_CORE } from './machine.ts';

const PATIENCE_MILLISECONDS = 20_000;

/** A server under measurement, alone on its core; disposing of it ends it. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess<'ignore', Bun.BunFile, Bun.BunFile>;
  readonly #log: string;

  constructor(command: readonly string[], log: string) {
    this.#log = log;
    const output = Bun.file(log);
    // taskset becomes the program, so the pid is the program's
    this.#child = Bun.spawn(['taskset', '-c', SERVER_CORE, ...command], {
      stdio: ['ignore', output, output],
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves as soon as it answers 200. Throws with its log if it is not within 20 s. */
  async answers(target: Target): Promise<void> {
    const deadline = performance.now() + PATIENCE_MILLISECONDS;
    let last: unknown;
    while (performance.now() < deadline && this.#child.exitCode === null) {
      const response = await fetch(target.url, { headers: target.headers }).catch((error: unknown) => {
        last = error;
      });
      if (response?.status === 200) return;
      if (response) last = `${response.status} ${await response.text()}`;
      await Bun.sleep(50);
    }
    throw new Error(`${target.url} does not answer (${last}). Its log:\n${await Bun.file(this.#log).text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}
