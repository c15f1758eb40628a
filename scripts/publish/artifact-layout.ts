import type { Descriptor } from '../image/layout-writer.ts';
import { IMAGE_MANIFEST, LayoutWriter } from '../image/layout-writer.ts';

export interface ArtifactContent {
  readonly config: { readonly mediaType: string; readonly content: object };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly content: Uint8Array<ArrayBuffer>;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Writes what is no image as an OCI layout, in place of whatever `folder` was; the same content, the same digest. */
export async function writeArtifactLayout(folder: string, content: ArtifactContent): Promise<Descriptor> {
  const layout = await LayoutWriter.create(folder);
  const layers: object[] = [];
  for (const { mediaType, content: bytes, annotations } of content.layers) {
    layers.push({ ...(await layout.blob(mediaType, bytes)), ...(annotations && { annotations }) });
  }
  const manifest = await layout.json(IMAGE_MANIFEST, {
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST,
    config: await layout.json(content.config.mediaType, content.config.content),
    layers,
    annotations: content.annotations,
  });
  await layout.finish(manifest);
  return manifest;
}
