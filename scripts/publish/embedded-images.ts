import { referenceOf } from '../module/released-image.ts';
import { MANIFESTS_FILE } from './artifacts.ts';
import type { LayoutReader } from './layout-reader.ts';
import { readStamp, STAMP } from './module-artifact.ts';
import type { ArtifactName } from './release-names.ts';

/** The file of an artifact that says which image it runs, and how. */
const READERS: Readonly<
  Record<
    Exclude<ArtifactName, 'image'>,
    { readonly file: string; readonly read: (text: string) => readonly string[] }
  >
> = {
  module: {
    file: STAMP,
    read: (text) => {
      const image = readStamp(text);
      return image === undefined ? [] : [referenceOf(image)];
    },
  },
  manifests: {
    file: MANIFESTS_FILE,
    read: (text) => imagesIn(Bun.YAML.parse(text)),
  },
  chart: {
    file: 'gke-metadata-server/values.yaml',
    read: (text) => {
      const { repository, tag, digest } = Object(Object(Bun.YAML.parse(text)).image);
      return repository && digest ? [referenceOf({ repository, tag, digest })] : [];
    },
  },
};

/** The references of the images that an artifact makes a cluster run, as `HOST/PATH:TAG@DIGEST`. */
export async function embeddedImages(
  name: Exclude<ArtifactName, 'image'>,
  layout: LayoutReader,
): Promise<readonly string[]> {
  const { file, read } = READERS[name];
  for (const { layers } of await layout.manifests()) {
    for (const layer of layers) {
      const text = (await layout.files(layer, file)).get(file);
      if (text !== undefined) return read(text);
    }
  }
  return [];
}

/** Of containers, and of the variable by which the webhook knows what to put into Pods. */
function imagesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(imagesIn);
  if (typeof value !== 'object' || value === null) return [];
  const { name, value: variable, image, ...rest } = value as Record<string, unknown>;
  const found = [image, name === 'INIT_NETWORK_IMAGE' ? variable : undefined].filter(
    (each) => typeof each === 'string',
  );
  return [...found, ...Object.values(rest).flatMap(imagesIn)];
}
