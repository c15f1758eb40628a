import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from './architecture.ts';
import { blobPath, digestOf, type Layer } from './layer.ts';

export const IMAGE_INDEX = 'application/vnd.oci.image.index.v1+json';
export const IMAGE_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** The image of one platform; its operating system is Linux. */
export interface PlatformImage {
  readonly architecture: Architecture;
  readonly layers: readonly Layer[];
}

/** What the images of all platforms have in common. */
export interface ImageSettings {
  /** `UID:GID`. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** In the configuration as labels, in manifests and index as annotations, as different readers look there. */
  readonly labels: Readonly<Record<string, string>>;
  readonly created: Date;
}

export interface WrittenLayout {
  /** Of the index of all platforms: what is the image, to sign and to name. */
  readonly index: Descriptor;
  readonly manifests: readonly {
    readonly architecture: Architecture;
    readonly digest: string;
    /** What is pulled, in bytes: the compressed layers. */
    readonly size: number;
  }[];
}

/**
 * Writes an OCI image layout (OCI Image Specification 1.1) in place of the one that `folder` was. Its `index.json` has
 * one entry, the index of the platforms. `name`, such as `HOST/PATH:TAG`, is what a runtime that imports the layout
 * calls the image; it is in no digest.
 */
export async function writeOciLayout(
  folder: string,
  images: readonly PlatformImage[],
  settings: ImageSettings,
  name?: string,
): Promise<WrittenLayout> {
  const layout = await LayoutWriter.create(folder);
  const manifests: WrittenLayout['manifests'][number][] = [];
  const entries: object[] = [];
  for (const image of images) {
    const config = await layout.json(CONFIG, configuration(image, settings));
    const layers: Descriptor[] = [];
    for (const layer of image.layers) layers.push(await layout.blob(LAYER, layer.blob));
    const manifest = await layout.json(IMAGE_MANIFEST, {
      schemaVersion: 2,
      mediaType: IMAGE_MANIFEST,
      config,
      layers,
      annotations: settings.labels,
    });
    manifests.push({
      architecture: image.architecture,
      digest: manifest.digest,
      size: layers.reduce((sum, { size }) => sum + size, 0),
    });
    entries.push({ ...manifest, platform: { architecture: image.architecture, os: 'linux' } });
  }
  const index = await layout.json(IMAGE_INDEX, {
    schemaVersion: 2,
    mediaType: IMAGE_INDEX,
    manifests: entries,
    annotations: settings.labels,
  });
  await layout.finish(
    index,
    name === undefined
      ? undefined
      : { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
  );
  return { index, manifests };
}

function configuration({ architecture, layers }: PlatformImage, settings: ImageSettings) {
  const created = settings.created.toISOString();
  return {
    created,
    architecture,
    os: 'linux',
    config: {
      User: settings.user,
      Env: Object.entries(settings.environment).map(([name, value]) => `${name}=${value}`),
      Entrypoint: settings.entrypoint,
      WorkingDir: '/',
      Labels: settings.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  };
}

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
