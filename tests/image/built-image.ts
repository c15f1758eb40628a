import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import { ARCHITECTURES, type Architecture } from '../../scripts/image/architecture.ts';
import { blobPath } from '../../scripts/image/layer.ts';
import type { Descriptor } from '../../scripts/image/oci-layout.ts';
import type { PlatformParts } from '../../scripts/image/server-image.ts';
import { runOrThrow } from '../../scripts/run.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { serverBase } from '../cluster/images.ts';

const ALL: readonly Architecture[] = ['amd64', 'arm64'];

/** Downloads what the image is made of into the cache; that takes longer than a test may. */
export async function prepareImage(cache: Cache): Promise<void> {
  for (const architecture of ALL) await serverBase(cache, architecture);
}

/** What the images of all platforms are made of, the programs compiled into `folder`. */
export async function imageParts(folder: string, cache: Cache): Promise<PlatformParts[]> {
  const parts: PlatformParts[] = [];
  for (const architecture of ALL) {
    const program = join(folder, `program-${architecture}`);
    await compileServer(program, ARCHITECTURES[architecture].target);
    parts.push({ architecture, baseRoot: await serverBase(cache, architecture), program });
  }
  return parts;
}

interface ImageConfig {
  readonly architecture: string;
  readonly created: string;
  readonly config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
}

/** One file of an image, as `tar --verbose` lists it. */
interface ImageFile {
  /** As `ls` shows it: `-rwxr-xr-x`. */
  readonly mode: string;
  /** `UID/GID`. */
  readonly owner: string;
  readonly path: string;
}

/** The image of one platform in a layout, read as a runtime would. */
export class BuiltImage {
  readonly #layout: string;
  readonly #digest: string;

  constructor(layout: string, digest: string) {
    this.#layout = layout;
    this.#digest = digest;
  }

  async config(): Promise<ImageConfig> {
    const { config } = await this.#manifest();
    return Bun.file(blobPath(this.#layout, config.digest)).json();
  }

  /** The files and folders of all layers. */
  async files(): Promise<readonly ImageFile[]> {
    const { layers } = await this.#manifest();
    const lists = await Promise.all(
      layers.map(({ digest }) =>
        runOrThrow(['tar', '--numeric-owner', '-tvzf', blobPath(this.#layout, digest)]),
      ),
    );
    return lists
      .flatMap((list) => list.trimEnd().split('\n'))
      .map((line) => {
        const [mode = '', owner = '', , , , path = ''] = line.split(/ +/);
        return { mode, owner, path };
      });
  }

  /** Makes `folder` the file system of a container. */
  async unpack(folder: string): Promise<void> {
    const { layers } = await this.#manifest();
    await mkdir(folder, { recursive: true });
    for (const { digest } of layers) {
      await runOrThrow(['tar', '-xzf', blobPath(this.#layout, digest), '-C', folder]);
    }
  }

  async #manifest(): Promise<{ readonly config: Descriptor; readonly layers: readonly Descriptor[] }> {
    return Bun.file(blobPath(this.#layout, this.#digest)).json();
  }
}
