import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLayer } from '../image/layer.ts';
import { type Descriptor, IMAGE_MANIFEST, LayoutWriter } from '../image/oci-layout.ts';

/** What an artifact is made of, by what it says of itself. The same gives the same artifact. */
export interface ReleaseSource {
  readonly version: string;
  readonly commit: string;
  /** The commit's time. */
  readonly created: Date;
  /** Of the repository of the sources. */
  readonly url: string;
}

const VERSION_ANNOTATION = 'org.opencontainers.image.version';

/** By the names of the OCI Image Specification, which registries and Flux show. */
export function artifactAnnotations(
  description: string,
  { version, commit, created, url }: ReleaseSource,
): Readonly<Record<string, string>> {
  return {
    'org.opencontainers.image.title': 'gke-metadata-server',
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    [VERSION_ANNOTATION]: version,
    'org.opencontainers.image.revision': commit,
    'org.opencontainers.image.created': created.toISOString(),
    'org.opencontainers.image.source': url,
  };
}

interface ArtifactContent {
  readonly config: { readonly mediaType: string; readonly content: object };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly content: Uint8Array<ArrayBuffer>;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Writes an artifact other than an image as an OCI layout, replacing `folder`; the same content, the same digest. */
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

/** The one file of the manifests. */
export const MANIFESTS_FILE = 'manifests.yaml';

/** As `flux push artifact` calls them (https://fluxcd.io/flux/components/source/ocirepositories/#layer-selector). */
const MANIFESTS_CONFIG = 'application/vnd.cncf.flux.config.v1+json';
const MANIFESTS_CONTENT = 'application/vnd.cncf.flux.content.v1.tar+gzip';

/** Writes Kubernetes manifests as an OCI layout that Flux's OCIRepository takes: one layer with one file. */
export async function writeManifestsArtifact(
  layout: string,
  manifests: string,
  source: ReleaseSource,
): Promise<Descriptor> {
  return writeFolderArtifact(layout, source, {
    description: 'A GKE metadata server for any Kubernetes cluster: manifests',
    config: { mediaType: MANIFESTS_CONFIG, content: {} },
    mediaType: MANIFESTS_CONTENT,
    fill: async (folder) => {
      await Bun.write(join(folder, MANIFESTS_FILE), manifests);
    },
  });
}

/** As `helm push` calls them (https://github.com/helm/community/blob/main/hips/hip-0006.md). */
const CHART_CONFIG = 'application/vnd.cncf.helm.config.v1+json';
const CHART_CONTENT = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';

/** Writes the Helm chart of a folder as an OCI layout: one layer, which is what `helm package` would write. */
export async function writeChartArtifact(
  layout: string,
  chart: string,
  source: ReleaseSource,
): Promise<Descriptor> {
  const facts: unknown = Bun.YAML.parse(await Bun.file(join(chart, 'Chart.yaml')).text());
  return writeFolderArtifact(layout, source, {
    description: 'A GKE metadata server for any Kubernetes cluster: Helm chart',
    config: { mediaType: CHART_CONFIG, content: Object(facts) },
    mediaType: CHART_CONTENT,
    fill: (folder) => cp(chart, join(folder, 'gke-metadata-server'), { recursive: true }),
  });
}

interface FolderArtifact {
  readonly description: string;
  readonly config: ArtifactContent['config'];
  /** Of the one layer. */
  readonly mediaType: string;
  /** Puts the files of the layer into a folder that it makes. */
  readonly fill: (folder: string) => Promise<void>;
}

async function writeFolderArtifact(
  layout: string,
  source: ReleaseSource,
  { description, config, mediaType, fill }: FolderArtifact,
): Promise<Descriptor> {
  const scratch = await mkdtemp(join(tmpdir(), 'artifact-'));
  try {
    const folder = join(scratch, 'layer');
    await fill(folder);
    const { blob } = await makeLayer(folder, 'scripts/release');
    const annotations = artifactAnnotations(description, source);
    return await writeArtifactLayout(layout, { config, layers: [{ mediaType, content: blob }], annotations });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
