import { join } from 'node:path';
import { blobPath } from '../image/layer.ts';
import type { Descriptor } from '../image/oci-layout.ts';
import { IMAGE_INDEX } from '../image/oci-layout.ts';

/** The manifest of an artifact, or of an image for one platform. */
interface LayoutManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

/** Reads an OCI layout that has one entry. */
export class LayoutReader {
  private constructor(
    private readonly folder: string,
    /** The artifact itself: a manifest, or the index of an image's platforms. */
    readonly entry: Descriptor,
  ) {}

  static async open(folder: string): Promise<LayoutReader> {
    // the specification's own shape, as for every other file of a layout here
    const index = (await Bun.file(join(folder, 'index.json')).json()) as Index;
    const [entry, ...others] = index.manifests;
    if (entry === undefined || others.length > 0)
      throw new Error(`${folder} does not have exactly one entry`);
    return new LayoutReader(folder, entry);
  }

  /** The manifests of all platforms; of an artifact that is not an image, the one. */
  async manifests(): Promise<readonly LayoutManifest[]> {
    const all = this.entry.mediaType === IMAGE_INDEX ? await this.#platforms() : [this.entry];
    return Promise.all(all.map((manifest) => this.#json<LayoutManifest>(manifest)));
  }

  /** The digests that a signature can be of: those of an image's platforms, and the entry's, which is the last. */
  async digests(): Promise<readonly string[]> {
    const platforms = this.entry.mediaType === IMAGE_INDEX ? await this.#platforms() : [];
    return [...platforms, this.entry].map(({ digest }) => digest);
  }

  /** The annotations of the entry. */
  async annotations(): Promise<Readonly<Record<string, string>>> {
    return (await this.#json<LayoutManifest>(this.entry)).annotations ?? {};
  }

  /** The texts of those files of a layer, a compressed archive, whose paths match. */
  async files(layer: Descriptor, pattern: string): Promise<ReadonlyMap<string, string>> {
    const archive = new Bun.Archive(await Bun.file(blobPath(this.folder, layer.digest)).bytes());
    const files = [...(await archive.files(pattern))];
    return new Map(await Promise.all(files.map(async ([path, file]) => [path, await file.text()] as const)));
  }

  async #platforms(): Promise<readonly Descriptor[]> {
    return (await this.#json<Index>(this.entry)).manifests;
  }

  async #json<T>({ digest }: Descriptor): Promise<T> {
    return Bun.file(blobPath(this.folder, digest)).json();
  }
}
