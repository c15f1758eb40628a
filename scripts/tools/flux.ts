import { join } from 'node:path';
import type { Cache } from './cache.ts';
import { goBuild } from './go-build.ts';

/**
 * The folder of the go.mod that pins the controllers of Flux 2.9.3: one for all, so that what they share is compiled
 * once. Of libraries it has the newest that any of them asks for.
 */
const source = join(import.meta.dir, 'flux');

export const fluxControllers = ['source-controller', 'kustomize-controller', 'helm-controller'] as const;

/** The folder of Flux's own controllers, each a program of its name. */
export function fluxPrograms(cache: Cache): Promise<string> {
  const packages = fluxControllers.map((name) => `github.com/fluxcd/${name}`);
  return goBuild({ name: 'flux', source, packages }, cache);
}
