import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeLayer } from '../image/layer.ts';
import type { Descriptor } from '../image/oci-layout.ts';
import type { ReleasedImage } from '../module/released-image.ts';
import { moduleFolder } from '../module/schemas.ts';
import { runOrThrow } from '../run.ts';
import { artifactAnnotations, type ReleaseSource, writeArtifactLayout } from './artifacts.ts';

const CONFIG = 'application/vnd.timoni.config.v1+json';
const CONTENT = 'application/vnd.timoni.content.v1.tar+gzip';
const CONTENT_TYPE = 'sh.timoni.content.type';

/** The module's file that names the image it was released with. */
export const STAMP = 'templates/config/release.cue';

/**
 * Writes the Timoni module, with its schemas and with `image` for those who name none, as an OCI layout. The sources
 * are only read. `schemas` is a folder that `generatedSchemas` made.
 */
export async function writeModuleArtifact(
  layout: string,
  schemas: string,
  image: ReleasedImage,
  source: ReleaseSource,
): Promise<Descriptor> {
  const scratch = await mkdtemp(join(tmpdir(), 'module-artifact-'));
  try {
    const [vendored, module] = [join(scratch, 'vendored'), join(scratch, 'module')];
    await cp(schemas, join(vendored, 'cue.mod/gen'), { recursive: true });
    for (const path of await publishedFiles()) {
      await mkdir(dirname(join(module, path)), { recursive: true });
      await cp(join(moduleFolder, path), join(module, path));
    }
    await Bun.write(join(module, STAMP), stamp(image));
    await cp(join(import.meta.dir, '../../LICENSE'), join(module, 'LICENSE'));
    const layer = async (folder: string, type: string) => ({
      mediaType: CONTENT,
      content: (await makeLayer(folder, 'scripts/release')).blob,
      annotations: { [CONTENT_TYPE]: type },
    });
    return await writeArtifactLayout(layout, {
      config: { mediaType: CONFIG, content: {} },
      // in the order of `timoni mod push`
      layers: [await layer(vendored, 'module/vendor'), await layer(module, 'module')],
      annotations: artifactAnnotations(
        'A GKE metadata server for any Kubernetes cluster: Timoni module',
        source,
      ),
    });
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** The file of the module that gives `#Image` its defaults. */
export function stamp({ repository, tag, digest }: ReleasedImage): string {
  // a JSON string is one of CUE
  return [
    'package config',
    '',
    '// The image that this module was released with.',
    '_released: {',
    `\trepository: ${JSON.stringify(repository)}`,
    `\ttag:        ${JSON.stringify(tag)}`,
    `\tdigest:     ${JSON.stringify(digest)}`,
    '}',
    '',
  ].join('\n');
}

/** What {@link stamp} wrote; undefined if there is no image in it. */
export function readStamp(text: string): ReleasedImage | undefined {
  const value = (name: string) => new RegExp(`^\\t${name}: +"([^"]+)"$`, 'm').exec(text)?.[1];
  const [repository, tag, digest] = [value('repository'), value('tag'), value('digest')];
  if (repository === undefined || tag === undefined || digest === undefined) return undefined;
  return { repository, tag, digest };
}

/** The module's sources but for what timoni.ignore names, by git: no file that it ignores, such as generated ones. */
async function publishedFiles(): Promise<readonly string[]> {
  const listed = await runOrThrow(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: moduleFolder,
  });
  const ignored = (await Bun.file(join(moduleFolder, 'timoni.ignore')).text())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    // names of files, and of folders by the slash at their end: of git's patterns the module uses no others
    .map((pattern) => new Bun.Glob(pattern.endsWith('/') ? `{,**/}${pattern}**` : `{,**/}${pattern}`));
  return listed
    .split('\0')
    .filter((path) => path !== '' && !ignored.some((pattern) => pattern.match(path)))
    .sort();
}
