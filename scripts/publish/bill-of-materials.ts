import { join } from 'node:path';
import type { ReleaseSource } from './artifact-annotations.ts';
import { type BunLock, productionPackages } from './bun-lock.ts';
import { imagePackages } from './image-packages.ts';
import { deploymentSbom, imageSbom } from './sbom.ts';
import type { Subject } from './verification.ts';

const BUN_LOCK = join(import.meta.dir, '../../bun.lock');

/** The bill of materials of an artifact that was made as `layout`. */
export async function billOfMaterials(
  subject: Subject,
  image: Subject,
  layout: string,
  { version, created }: ReleaseSource,
): Promise<object> {
  const billed = ({ repository, digest }: Subject) => ({
    name: 'gke-metadata-server',
    version,
    repository,
    digest,
    created,
  });
  if (subject.name !== 'image') return deploymentSbom(billed(subject), billed(image));
  const lock = Bun.JSONC.parse(await Bun.file(BUN_LOCK).text());
  return imageSbom(billed(subject), {
    debian: await imagePackages(layout),
    // Bun writes it, and the tests read this one
    npm: productionPackages(lock as BunLock),
    // scripts/bun runs this with the one that package.json pins, which is what it compiles into the program
    bun: Bun.version,
  });
}
