import { exists, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../required-programs.ts';
import { ProgramMissing } from '../run.ts';

export type Report = (line: string) => void;

const STILL = 30_000;
const A_DAY = 24 * 3600 * 1000;

/** Where what takes long to make is kept, outside the repository. */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'gke-metadata-server', 'cluster');
}

/** Something that the cache lacks could not be made. */
class NotMade extends Error {
  override readonly name = 'NotMade';

  constructor(what: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message.trim() : String(cause);
    super(
      `cannot make ${what}: ${reason}\n` +
        'It is made of Go modules or Debian packages: check that this machine reaches their servers or a proxy for them.',
    );
  }
}

/** A folder of things that take long to make; `report` gets progress while one is made. */
export class Cache {
  constructor(
    readonly folder = cacheFolder(),
    readonly report: Report = () => {},
  ) {}

  /**
   * The path of `name` in the cache. If it is missing, `make` makes it at the path it gets, which becomes
   * `name` only when it is whole; two runs never make the same thing at once, and a killed one leaves no lock.
   */
  async get(name: string, make: (path: string) => Promise<void>): Promise<string> {
    const path = join(this.folder, name);
    if (await exists(path)) return path;
    await mkdir(this.folder, { recursive: true });
    await using _lock = await lock(`${path}.lock`, () =>
      this.report(`waiting for another run to make ${name}`),
    );
    if (await exists(path)) return path;
    const partial = `${path}.partial`;
    await rm(partial, { recursive: true, force: true });
    const begin = performance.now();
    this.report(`making ${name}`);
    const since = () => seconds(performance.now() - begin);
    // what compiles and downloads says nothing for minutes, least of all without a network
    const waiting = setInterval(() => this.report(`still making ${name}, ${since()}`), STILL);
    try {
      await make(partial);
    } catch (cause) {
      if (cause instanceof Unavailable || cause instanceof ProgramMissing) throw cause;
      throw new NotMade(name, cause);
    } finally {
      clearInterval(waiting);
    }
    await rename(partial, path);
    this.report(`made ${name} in ${seconds(performance.now() - begin)}`);
    return path;
  }

  /** Removes entries older than a day whose names match: for what each change makes again. */
  async removeOld(names: RegExp): Promise<void> {
    const found = await readdir(this.folder).catch(() => []);
    for (const path of found.filter((name) => names.test(name)).map((name) => join(this.folder, name))) {
      const made = await stat(path).catch(() => undefined);
      if (made && Date.now() - made.mtimeMs > A_DAY) await rm(path, { recursive: true, force: true });
    }
  }
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** The kernel's lock on a file, held by a child: it ends with this process, however that ends. */
async function lock(file: string, onWait: () => void): Promise<AsyncDisposable> {
  if (Bun.which('flock') === null) throw new ProgramMissing('flock');
  const holder = Bun.spawn(['flock', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const held = holder.stdout.getReader().read();
  const waiting = setTimeout(onWait, 500);
  const { done } = await held;
  clearTimeout(waiting);
  if (done) throw new Error(`cannot lock ${file}`);
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await holder.exited;
    },
  };
}
