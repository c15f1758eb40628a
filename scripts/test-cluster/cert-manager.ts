import { join } from 'node:path';
import { certManagerCRDs } from '../tools/crds.ts';
import { goBuild } from '../tools/go-build.ts';
import type { Cache } from './cache.ts';

const source = join(import.meta.dir, '../tools/cert-manager');

export interface CertManagerFiles {
  /** Its controllers for self-signed and CA issuers, and its CA injector, in one program. */
  readonly program: string;
  /** The folder of its CustomResourceDefinitions. */
  readonly crds: string;
}

/** cert-manager, out of the cache. */
export async function certManagerFiles(cache: Cache): Promise<CertManagerFiles> {
  const folder = await goBuild({ name: 'cert-manager', source, packages: ['.'] }, cache);
  return { program: join(folder, 'cert-manager'), crds: await certManagerCRDs(cache) };
}
