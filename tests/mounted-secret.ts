import { mkdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder that changes as a mounted Secret does: all of it at once, by one change of the symbolic link `..data`. */
export class MountedSecret {
  #changes = 0;

  constructor(readonly directory: string) {}

  /** `write` puts the Secret's files into the folder that it is handed, before anybody sees them. */
  async change(write: (folder: string) => Promise<void>): Promise<void> {
    this.#changes += 1;
    const name = `..${this.#changes}`;
    await mkdir(join(this.directory, name), { recursive: true });
    await write(join(this.directory, name));
    await symlink(name, join(this.directory, '..next'));
    await rename(join(this.directory, '..next'), join(this.directory, '..data'));
  }
}
