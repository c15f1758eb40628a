import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type IdToken, LONGEST_TOKEN, parseIdToken } from './id-token.ts';
import { TokenFileError } from './token-file-error.ts';

/** Readable by all: the containers of a Pod may run as different users. */
const MODE = 0o644;

/**
 * The file that SDKs read a token from. A reader sees the old token or the new one, whole, whenever it opens the file.
 */
export class TokenFile {
  constructor(readonly path: string) {}

  /** The token in it; undefined if there is none that can be read. */
  async read(): Promise<IdToken | undefined> {
    try {
      const { size } = await stat(this.path);
      return size > LONGEST_TOKEN ? undefined : parseIdToken(await readFile(this.path, 'utf8'));
    } catch {
      return undefined;
    }
  }

  /**
   * Replaces the token, without a newline, which SDKs refuse in it. Throws `token-file-not-written`; the file is then as
   * before.
   */
  async write({ token }: IdToken): Promise<void> {
    const temporary = `${this.path}.tmp`;
    try {
      // of an attempt that was interrupted; a new file follows no link and has this user as its owner
      await rm(temporary, { force: true });
      const file = await open(temporary, 'wx', MODE);
      try {
        // open() leaves out what the umask says
        await file.chmod(MODE);
        await file.writeFile(token.reveal());
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      // the file system throws nothing but Errors
      const { code, message } = error as NodeJS.ErrnoException;
      throw new TokenFileError('token-file-not-written', `cannot write ${this.path}: ${code ?? message}`, {
        remedy: `Mount a volume at ${dirname(this.path)} that this user can write to and that has room for a token.`,
      });
    }
  }
}

/** Or a rename may be lost if the Node loses power. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
