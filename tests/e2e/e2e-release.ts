import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chartFile, writeChart } from '../../scripts/chart/chart.ts';
import { compileServer } from '../../scripts/compile-server.ts';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { writeServerImage } from '../../scripts/image/server-image.ts';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { writeChartArtifact } from '../../scripts/publish/chart-artifact.ts';
import { type PublishedArtifact, publishRelease, type ReleaseParts } from '../../scripts/publish/release.ts';
import type { ArtifactName } from '../../scripts/publish/release-names.ts';
import { releaseParts } from '../../scripts/publish/release-parts.ts';
import type { VerificationTools } from '../../scripts/publish/verification.ts';
import { Cache } from '../../scripts/test-cluster/cache.ts';
import { serverBase } from '../../scripts/test-cluster/images.ts';
import { generatedChart } from '../chart/generated-chart.ts';
import { type Key, orderOf } from '../release/small-release.ts';

export const VERSION = '0.1.0';

/**
 * Releases the project into `registry`, `HOST/PATH`, signed by a key: as it is, but its image for this machine's
 * platform alone. `folder` is an empty one.
 */
export async function releaseProject(
  registry: string,
  key: Key,
  tools: VerificationTools,
  folder: string,
): Promise<ReadonlyMap<ArtifactName, PublishedArtifact>> {
  const cache = new Cache();
  const order = orderOf(registry, VERSION, key);
  const { source } = order;
  const project = await releaseParts(source, cache, () => {});
  const parts: ReleaseParts = {
    ...project,
    async writeImage(layout) {
      const architecture = hostArchitecture();
      const program = join(folder, 'program');
      await compileServer(program);
      const { version, commit: revision, created, url } = source;
      const platform = { architecture, baseRoot: await serverBase(cache), program };
      await writeServerImage(layout, [platform], { version, revision, created, url });
    },
    others: project.others.map((part) => ({
      ...part,
      async write(layout, image) {
        if (part.name !== 'chart') return part.write(layout, image);
        // the cache has what takes minutes to learn
        const files = await generatedChart(await ModuleRenderer.prepare(cache), cache);
        const values = Object(Bun.YAML.parse(files.get('values.yaml') ?? ''));
        const ofRelease = [
          ['Chart.yaml', chartFile(VERSION)],
          ['values.yaml', JSON.stringify({ ...values, image: { ...values.image, ...image } })],
        ] as const;
        const chart = `${layout}.chart`;
        await writeChart(new Map([...files, ...ofRelease]), chart);
        await writeChartArtifact(layout, chart, source);
      },
    })),
  };
  const work = join(folder, 'layouts');
  await mkdir(work);
  const artifacts = await publishRelease(order, parts, work, tools, () => {});
  return new Map(artifacts.map((artifact) => [artifact.name, artifact]));
}
