import { exists } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';

const REPOSITORY = join(import.meta.dir, '../..');

/** Which sources an image is made of, by what its labels say. The same gives the same image. */
export interface SourceVersion {
  /** That of the release. */
  readonly version: string;
  /** The commit, with `-dirty` where files differ from it; none outside a git repository. */
  readonly revision?: string;
  /** The commit's time, unless SOURCE_DATE_EPOCH says another. */
  readonly created: Date;
  /** The URL of the repository. */
  readonly url?: string;
}

/**
 * What is checked out here. `version` is package.json's by default. Throws if there is neither git nor
 * SOURCE_DATE_EPOCH (in seconds since 1970, https://reproducible-builds.org/specs/source-date-epoch/) to tell the time.
 */
export async function sourceVersion(
  environment: Readonly<Record<string, string | undefined>>,
  options: { readonly version?: string; readonly url?: string } = {},
): Promise<SourceVersion> {
  // a tag can be moved, a commit cannot
  const revision = await git('describe', '--always', '--exclude=*', '--abbrev=40', '--dirty');
  const { SOURCE_DATE_EPOCH } = environment;
  const epoch = SOURCE_DATE_EPOCH || (await git('log', '-1', '--format=%ct'));
  if (epoch === undefined || !/^\d+$/.test(epoch)) {
    const found = epoch === undefined ? 'it is not set and there is no commit to take them from' : epoch;
    throw new Error(`SOURCE_DATE_EPOCH must be the seconds since 1970: ${found}`);
  }
  return {
    version: options.version ?? (await Bun.file(join(REPOSITORY, 'package.json')).json()).version,
    created: new Date(Number(epoch) * 1000),
    ...(revision !== undefined && { revision }),
    ...(options.url !== undefined && { url: options.url }),
  };
}

/** What git prints; undefined if this is not a repository. Throws if git is missing or refuses another user's files. */
async function git(...args: readonly string[]): Promise<string | undefined> {
  if (!(await exists(join(REPOSITORY, '.git')))) return undefined;
  return (await runOrThrow(['git', '-C', REPOSITORY, ...args])).trim();
}
