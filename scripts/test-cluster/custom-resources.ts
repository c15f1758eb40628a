import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../module/render.ts';
import type { ApiClient } from './api-client.ts';
import { untilHealthy } from './object-health.ts';
import { Objects } from './objects.ts';

/** Applies the CustomResourceDefinitions in a folder's YAML files, and waits until the API server serves their kinds. */
export async function applyCustomResources(api: ApiClient, folder: string): Promise<void> {
  const objects = new Objects(api);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'));
  const definitions = await Promise.all(files.map((file) => definitionIn(join(folder, file))));
  for (const definition of definitions) await objects.apply(definition);
  await untilHealthy(objects, definitions);
}

async function definitionIn(file: string): Promise<KubernetesObject> {
  const documents = Bun.YAML.parse(await Bun.file(file).text());
  // what a controller's authors publish, one definition in a file, and the API server looks closely
  return [documents].flat()[0] as KubernetesObject;
}
