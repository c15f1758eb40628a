import { join } from 'node:path';
import type { Cache } from './cache.ts';
import { goBuild } from './go-build.ts';

/** kubectl of the version of the tests' cluster: one on PATH may be of any other, or none. */
export async function kubectlProgram(cache: Cache): Promise<string> {
  const folder = await goBuild(
    { name: 'kubectl', source: join(import.meta.dir, 'kubectl'), packages: ['.'] },
    cache,
  );
  return join(folder, 'kubectl');
}
