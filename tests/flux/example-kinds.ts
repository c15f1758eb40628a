import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import {
  certManagerCRDs,
  fluxCRDs,
  imagePolicyCRDs,
  prometheusOperatorCRDs,
} from '../../scripts/tools/crds.ts';
import type { Objects } from '../cluster/objects.ts';
import { untilHealthy } from '../cluster/objects.ts';

/** Makes the API server know every kind of the examples, and of what Flux applies. It brings no controller. */
export async function applyExampleKinds(objects: Objects, cache: Cache): Promise<void> {
  const folders = await Promise.all([
    certManagerCRDs(cache),
    prometheusOperatorCRDs(cache),
    fluxCRDs(cache),
    imagePolicyCRDs(cache),
  ]);
  await applyKinds(objects, folders.flat());
}

/** Makes the API server know the kinds that are defined in these folders. */
export async function applyKinds(objects: Objects, folders: readonly string[]): Promise<void> {
  const definitions: KubernetesObject[] = [];
  for (const folder of folders) {
    for (const file of await readdir(folder)) definitions.push(await definitionIn(join(folder, file)));
  }
  for (const definition of definitions) await objects.apply(definition);
  await untilHealthy(objects, definitions);
}

async function definitionIn(file: string): Promise<KubernetesObject> {
  const documents = Bun.YAML.parse(await Bun.file(file).text());
  // what a controller's authors publish, one definition in a file, and the API server looks closely
  const definition = [documents].flat()[0] as KubernetesObject;
  // policy-controller's webhook makes one version of another, and is not here: both have the same fields
  return { ...definition, spec: { ...Object(definition['spec']), conversion: { strategy: 'None' } } };
}
