import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blobPath, digestOf } from './layer.ts';

export const IMAGE_INDEX = 'application/vnd.oci.image.index.v1+json';
export const IMAGE_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** How a blob is referred to. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** Writes a folder as an OCI image layout (OCI Image Specification 1.1). */
export class LayoutWriter {
  private constructor(private readonly folder: string) {}

  /** In place of a layout that `folder` was. Throws if it has any other files. */
  static async create(folder: string): Promise<LayoutWriter> {
    await requireLayout(folder);
    await rm(folder, { recursive: true, force: true });
    await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
    return new LayoutWriter(folder);
  }

  async blob(mediaType: string, content: Uint8Array<ArrayBuffer> | string): Promise<Descriptor> {
    const digest = digestOf(content);
    await Bun.write(blobPath(this.folder, digest), content);
    return { mediaType, digest, size: Buffer.byteLength(content) };
  }

  json(mediaType: string, content: object): Promise<Descriptor> {
    return this.blob(mediaType, JSON.stringify(content));
  }

  /** Completes it. It has one entry, which tools push as it is. */
  async finish(entry: Descriptor, annotations?: Readonly<Record<string, string>>): Promise<void> {
    const manifests = [{ ...entry, ...(annotations && { annotations }) }];
    await Bun.write(
      join(this.folder, 'index.json'),
      JSON.stringify({ schemaVersion: 2, mediaType: IMAGE_INDEX, manifests }),
    );
    await Bun.write(join(this.folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }
}

/** Also one that was never made whole. Throws if `folder` holds anything that is not part of a layout. */
export async function requireLayout(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new Error(`cannot write an OCI layout to ${folder}: ${error.message}`);
  });
  const other = names.find((name) => !['blobs', 'index.json', 'oci-layout'].includes(name));
  if (other === undefined) return;
  throw new Error(
    `cannot write an OCI layout to ${folder}: it holds ${other}, which is not part of one. Name another folder.`,
  );
}
