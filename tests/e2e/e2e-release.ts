import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { writeServerImage } from '../../scripts/image/server-image.ts';
import { type PublishedArtifact, publishRelease, type ReleaseParts } from '../../scripts/publish/release.ts';
import type { ArtifactName } from '../../scripts/publish/release-names.ts';
import { releaseParts } from '../../scripts/publish/release-parts.ts';
import type { VerificationTools } from '../../scripts/publish/verification.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { serverBase } from '../cluster/images.ts';
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
  };
  const work = join(folder, 'layouts');
  await mkdir(work);
  const artifacts = await publishRelease(order, parts, work, tools, () => {});
  return new Map(artifacts.map((artifact) => [artifact.name, artifact]));
}
