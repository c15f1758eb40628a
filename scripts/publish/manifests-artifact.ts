import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLayer } from '../image/layer.ts';
import type { Descriptor } from '../image/layout-writer.ts';
import { artifactAnnotations, type ReleaseSource } from './artifact-annotations.ts';
import { writeArtifactLayout } from './artifact-layout.ts';
import { MANIFESTS_FILE } from './embedded-images.ts';

/** As `flux push artifact` calls them (https://fluxcd.io/flux/components/source/ocirepositories/#layer-selector). */
const CONFIG = 'application/vnd.cncf.flux.config.v1+json';
const CONTENT = 'application/vnd.cncf.flux.content.v1.tar+gzip';

/** Writes Kubernetes manifests as an OCI layout that Flux's OCIRepository takes: one layer with one file. */
export async function writeManifestsArtifact(
  layout: string,
  manifests: string,
  source: ReleaseSource,
): Promise<Descriptor> {
  const scratch = await mkdtemp(join(tmpdir(), 'manifests-artifact-'));
  try {
    const folder = join(scratch, 'manifests');
    await Bun.write(join(folder, MANIFESTS_FILE), manifests);
    return await writeArtifactLayout(layout, {
      config: { mediaType: CONFIG, content: {} },
      layers: [{ mediaType: CONTENT, content: (await makeLayer(folder, 'scripts/release')).blob }],
      annotations: artifactAnnotations('A GKE metadata server for any Kubernetes cluster: manifests', source),
    });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
