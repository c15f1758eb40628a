import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ProgramMissing, runOrThrow } from '../run.ts';
import { type Cache, type Report, seconds } from './cache.ts';

interface GoBuild {
  /** Of their folder in the cache, to which a digest of what they are built from is added. */
  readonly name: string;
  /** The folder of the go.mod and go.sum that pin what they are built from, and of their own sources. */
  readonly source: string;
  /** Each becomes a program of its last element's name. */
  readonly packages: readonly string[];
  /** `-ldflags` beside those that leave out what only a debugger reads. */
  readonly linkerFlags?: readonly string[];
  /** `-tags`, by which some programs leave out what a test needs not. */
  readonly tags?: readonly string[];
}

/**
 * The folder of these programs, compiled from the Go module proxy once for each version and kept: minutes where Go's
 * own caches are cold, which the cache reports the progress of.
 */
export async function goBuild(build: GoBuild, cache: Cache): Promise<string> {
  const { name, source } = build;
  const own = (await readdir(source)).filter((file) => file.endsWith('.go')).sort();
  const content = new Bun.CryptoHasher('sha256');
  for (const file of ['go.mod', 'go.sum', ...own]) content.update(await Bun.file(join(source, file)).text());
  return cache.get(`${name}-${content.digest('hex').slice(0, 12)}`, async (folder) => {
    requireGo();
    await mkdir(folder, { recursive: true });
    await compile(build, folder, cache.report);
  });
}

/** Throws {@link ProgramMissing} if there is no Go: `nice`, by which it is run, would only say that there is no such file. */
export function requireGo(): void {
  if (Bun.which('go') === null) throw new ProgramMissing('go');
}

async function compile(
  { name, source, packages, linkerFlags = [], tags = [] }: GoBuild,
  folder: string,
  report: Report,
): Promise<void> {
  const begin = performance.now();
  let compiled = 0;
  const progress = setInterval(() => {
    report(`compiling ${name}: ${compiled} packages, ${seconds(performance.now() - begin)}`);
  }, 15_000);
  try {
    // no more eager than what else this machine does meanwhile, such as the quick tests
    await runOrThrow(
      [
        ...['nice', '-n', '15', 'go', 'build', '-v', '-trimpath', '-buildvcs=false', '-mod=readonly'],
        ...['-tags', tags.join(',')],
        ...['-ldflags', ['-s', '-w', ...linkerFlags].join(' '), '-o', `${folder}/`, ...packages],
      ],
      {
        cwd: source,
        env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
        timeout: 3_600_000,
        onErrorLine: () => {
          compiled += 1;
        },
      },
    );
  } finally {
    clearInterval(progress);
  }
}
