import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLayer } from '../image/layer.ts';
import type { Descriptor } from '../image/layout-writer.ts';
import { artifactAnnotations, type ReleaseSource } from './artifact-annotations.ts';
import { writeArtifactLayout } from './artifact-layout.ts';

/** As `helm push` calls them (https://github.com/helm/community/blob/main/hips/hip-0006.md). */
const CONFIG = 'application/vnd.cncf.helm.config.v1+json';
const CONTENT = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';

/** Writes the Helm chart of a folder as an OCI layout: one layer, which is what `helm package` would write. */
export async function writeChartArtifact(
  layout: string,
  chart: string,
  source: ReleaseSource,
): Promise<Descriptor> {
  const scratch = await mkdtemp(join(tmpdir(), 'chart-artifact-'));
  try {
    const folder = join(scratch, 'chart');
    await cp(chart, join(folder, 'gke-metadata-server'), { recursive: true });
    const facts: unknown = Bun.YAML.parse(await Bun.file(join(chart, 'Chart.yaml')).text());
    return await writeArtifactLayout(layout, {
      config: { mediaType: CONFIG, content: Object(facts) },
      layers: [{ mediaType: CONTENT, content: (await makeLayer(folder, 'scripts/release')).blob }],
      annotations: artifactAnnotations(
        'A GKE metadata server for any Kubernetes cluster: Helm chart',
        source,
      ),
    });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
