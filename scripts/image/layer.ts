import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';

/** A layer of an image, in memory: an image is some 60 MB. */
export interface Layer {
  /** The compressed archive. */
  readonly blob: Uint8Array<ArrayBuffer>;
  /** The digest of the archive before compression, as a configuration's `diff_ids` want it. */
  readonly diffID: string;
  /** How it came about, for `history`. */
  readonly createdBy: string;
}

/**
 * A folder as a layer. The same content gives the same bytes: sorted, owned by root, writable by nobody else, of
 * the epoch's time, so that the date of a release changes no layer; compressed by the Bun that package.json pins.
 */
export async function makeLayer(folder: string, createdBy: string): Promise<Layer> {
  const file = `${folder}.tar`;
  await runOrThrow([
    ...['tar', '--create', '--file', file, '--directory', folder],
    ...['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'],
    '--mode=a+rX,u+w,go-w',
    // by name, since an entry for the root itself would set the mode of the container's own
    ...(await readdir(folder)).sort(),
  ]);
  const archive = await Bun.file(file).bytes();
  await Bun.file(file).delete();
  return {
    blob: Bun.gzipSync(archive, { library: 'libdeflate', level: 12 }),
    diffID: digestOf(archive),
    createdBy,
  };
}

/** As OCI writes it: `sha256:HEX`. */
export function digestOf(content: Uint8Array<ArrayBuffer> | string): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(content).digest('hex')}`;
}

/** The path of a digest's content in an OCI layout. */
export function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}
