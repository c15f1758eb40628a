import { copyFile, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { blobPath, digestOf } from '../image/layer.ts';
import { MANIFESTS_FILE } from './artifacts.ts';
import { LayoutReader } from './layout-reader.ts';
import type { PublishedArtifact } from './release.ts';
import type { ArtifactName } from './release-names.ts';

const BUNDLES = join(import.meta.dir, '../../timoni/bundles');
const KUBECTL_PLUGIN = join(import.meta.dir, '../kubectl-gke_metadata');

/** One line each, `HOST/PATH@DIGEST`: what cosign verifies, for those without a tool that reads digests.json. */
const DIGEST_FILES = {
  'container-digest.txt': 'image',
  'helm-digest.txt': 'chart',
  'timoni-digest.txt': 'module',
} as const satisfies Readonly<Record<string, ArtifactName>>;

/**
 * Makes `folder` what a release page shows: digests.json and a file for each artifact that people verify, what people
 * download who use no registry, bundles that name the release by its digest, and a checksums.txt for
 * `sha256sum --check`, which `sign` signs: it is handed that file and where to write the bundle of its signature.
 */
export async function writeReleaseFiles(
  folder: string,
  facts: { readonly version: string; readonly commit: string },
  artifacts: readonly PublishedArtifact[],
  sign: (file: string, bundle: string) => Promise<void>,
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
  for (const [file, name] of Object.entries(DIGEST_FILES)) {
    const artifact = artifacts.find((each) => each.name === name);
    if (artifact === undefined) throw new Error(`the release has no ${name}`);
    await Bun.write(join(folder, file), `${artifact.repository}@${artifact.digest}\n`);
    names.push(file);
  }
  const module = artifacts.find(({ name }) => name === 'module');
  if (module === undefined) throw new Error('the release has no module');
  for (const file of ['release.cue', 'runtime.cue']) {
    const bundle = await Bun.file(join(BUNDLES, file)).text();
    await Bun.write(join(folder, file), releasedBundle(bundle, { ...module, version: facts.version }));
    names.push(file);
  }
  await copyFile(KUBECTL_PLUGIN, join(folder, basename(KUBECTL_PLUGIN)));
  names.push(basename(KUBECTL_PLUGIN));
  const lines = names.sort().map(async (name) => {
    const digest = digestOf(await Bun.file(join(folder, name)).bytes());
    return `${digest.slice('sha256:'.length)}  ${name}\n`;
  });
  const checksums = join(folder, 'checksums.txt');
  await Bun.write(checksums, (await Promise.all(lines)).join(''));
  await sign(checksums, `${checksums}.sigstore.json`);
}

/** One version of the module in a registry. */
interface ReleasedModule {
  /** `HOST/PATH`, without tag and digest. */
  readonly repository: string;
  readonly version: string;
  readonly digest: string;
}

/** A bundle of timoni/bundles with the release in it that a working tree's asks the environment for. */
export function releasedBundle(bundle: string, { repository, version, digest }: ReleasedModule): string {
  const values = { URL: `oci://${repository}`, VERSION: version, DIGEST: digest };
  let text = bundle;
  for (const [name, value] of Object.entries(values)) {
    const attribute = `string @timoni(runtime:string:MODULE_${name})`;
    if (text.split(attribute).length !== 2) throw new Error(`the bundle does not have ${attribute} once`);
    text = text.replace(attribute, () => JSON.stringify(value));
  }
  return text;
}
