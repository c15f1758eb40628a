import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blobPath, digestOf } from '../image/layer.ts';
import { MANIFESTS_FILE } from './embedded-images.ts';
import { LayoutReader } from './layout-reader.ts';
import type { PublishedArtifact } from './release.ts';
import { releasedBundle } from './released-bundle.ts';

const BUNDLES = join(import.meta.dir, '../../timoni/bundles');

/**
 * Makes `folder` what a release page shows: digests.json, what people download who use no registry, bundles that name
 * the release by its digest, and a checksums.txt for `sha256sum --check`.
 */
export async function writeReleaseFiles(
  folder: string,
  facts: { readonly version: string; readonly commit: string },
  artifacts: readonly PublishedArtifact[],
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const names = ['digests.json'];
  const digests = Object.fromEntries(
    artifacts.map(({ name, repository, digest }) => [name, { repository, tag: facts.version, digest }]),
  );
  const json = JSON.stringify({ ...facts, artifacts: digests }, null, 2);
  await Bun.write(join(folder, 'digests.json'), `${json}\n`);
  for (const { name, layout } of artifacts) {
    if (layout === undefined || !(name === 'manifests' || name === 'chart')) continue;
    const reader = await LayoutReader.open(layout);
    const [layer] = (await reader.manifests()).flatMap(({ layers }) => layers);
    if (layer === undefined) throw new Error(`${name} has no layer`);
    const file = name === 'chart' ? `gke-metadata-server-${facts.version}.tgz` : MANIFESTS_FILE;
    // the layer of a chart is what `helm package` writes
    if (name === 'chart') await copyFile(blobPath(layout, layer.digest), join(folder, file));
    else await Bun.write(join(folder, file), (await reader.files(layer, file)).get(file) ?? '');
    names.push(file);
  }
  const module = artifacts.find(({ name }) => name === 'module');
  if (module === undefined) throw new Error('the release has no module');
  for (const file of ['release.cue', 'runtime.cue']) {
    const bundle = await Bun.file(join(BUNDLES, file)).text();
    await Bun.write(join(folder, file), releasedBundle(bundle, { ...module, version: facts.version }));
    names.push(file);
  }
  const lines = names.sort().map(async (name) => {
    const digest = digestOf(await Bun.file(join(folder, name)).bytes());
    return `${digest.slice('sha256:'.length)}  ${name}\n`;
  });
  await Bun.write(join(folder, 'checksums.txt'), (await Promise.all(lines)).join(''));
}
