import { join } from 'node:path';
import { writeChart } from '../module/chart.ts';
import { manifestsOf } from '../module/manifests.ts';
import { ModuleRenderer } from '../module/render.ts';
import { generatedSchemas } from '../module/schemas.ts';
import { runOrThrow } from '../run.ts';
import type { Cache, Report } from '../tools/cache.ts';
import type { ReleaseSource } from './artifacts.ts';
import { writeChartArtifact, writeManifestsArtifact } from './artifacts.ts';
import { writeModuleArtifact } from './module-artifact.ts';
import type { ReleaseParts } from './release.ts';
import { billOfMaterials } from './sbom.ts';

const REPOSITORY = join(import.meta.dir, '../..');

/** The parts of this project's release; tools that the cache lacks are made first. */
export async function releaseParts(
  source: ReleaseSource,
  cache: Cache,
  report: Report,
): Promise<ReleaseParts> {
  const [renderer, schemas] = await Promise.all([ModuleRenderer.prepare(cache), generatedSchemas(cache)]);
  const { version } = source;
  return {
    writeImage: (layout) => buildImage(layout, source, report),
    others: [
      {
        name: 'module',
        write: async (layout, image) => {
          await writeModuleArtifact(layout, schemas, image, source);
        },
      },
      {
        name: 'manifests',
        write: async (layout, image) => {
          const name = 'gke-metadata-server';
          const instance = { name, namespace: name, moduleVersion: version };
          const text = await manifestsOf(renderer, { image }, { instance, createNamespace: true });
          await writeManifestsArtifact(layout, text, source);
        },
      },
      {
        name: 'chart',
        write: async (layout, image) => {
          const folder = `${layout}.chart`;
          await writeChart(folder, version, image);
          await writeChartArtifact(layout, folder, source);
        },
      },
    ],
    billOf: (subject, image, layout) => billOfMaterials(subject, image, layout, source),
  };
}

/** As somebody with the sources would. */
async function buildImage(
  layout: string,
  { version, url, created }: ReleaseSource,
  report: Report,
): Promise<void> {
  const flags = ['--output', layout, '--version', version, '--source', url];
  await runOrThrow([process.execPath, join(REPOSITORY, 'scripts/build-image.ts'), ...flags], {
    cwd: REPOSITORY,
    env: { ...process.env, SOURCE_DATE_EPOCH: `${created.getTime() / 1000}` },
    onErrorLine: (line) => report(`image: ${line}`),
    timeout: 3_600_000,
  });
}
