import { copyFile, cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { makeBaseRoot } from '../../scripts/image/base-root.ts';
import { MMDEBSTRAP } from '../../scripts/image/debian-packages.ts';
import { writeServerImage } from '../../scripts/image/server-image.ts';
import { sourceVersion } from '../../scripts/image/source-version.ts';
import { bringPrograms } from '../../scripts/required-programs.ts';
import { runOrThrow } from '../../scripts/run.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { makeDebianRoot } from './debian-root.ts';
import { writeImageArchive } from './image-archive.ts';

/** The image a Pod's other containers share the network of: it only waits. */
export const pauseImage = 'gke-metadata-server.test/pause:1';
/** busybox, curl and iptables. */
export const toolsImage = 'gke-metadata-server.test/tools:1';
/** The tools, and Python with google-auth and requests. */
export const clientsImage = 'gke-metadata-server.test/clients:1';
/** The server's own image. */
export const serverImage = 'gke-metadata-server.test/gke-metadata-server:1';

const tools = ['busybox-static', 'curl', 'iptables'];
const requirements = join(import.meta.dir, '../clients/python/requirements.txt');

/** The Debian root of these packages, from the cache. Read it, don't write to it. */
export async function debianRoot(name: string, packages: readonly string[], cache: Cache): Promise<string> {
  const release = await Bun.file('/etc/os-release').text();
  return cache.get(
    `${name}-root-${digest(release, await recipe('debian-root.ts'), ...packages)}`,
    async (folder) => {
      await rm(`${folder}.apt`, { recursive: true, force: true });
      await makeDebianRoot(folder, packages);
    },
  );
}

/** The docker-archive of {@link pauseImage}. */
export async function pauseArchive(cache: Cache): Promise<string> {
  const root = await debianRoot('tools', tools, cache);
  return archive(cache, 'pause', [root], async (folder, file) => {
    await copyFile(join(root, 'bin/busybox'), join(folder, 'busybox'));
    const entrypoint = ['/busybox', 'sleep', '2147483647'];
    await writeImageArchive(file, { rootfs: folder, name: pauseImage, entrypoint, user: '65535:65535' });
  });
}

/** The docker-archive of {@link toolsImage}. */
export async function toolsArchive(cache: Cache): Promise<string> {
  const root = await debianRoot('tools', tools, cache);
  return archive(cache, 'tools', [root], (_folder, file) =>
    writeImageArchive(file, { rootfs: root, name: toolsImage, command: ['/bin/sh'] }),
  );
}

/** The docker-archive of {@link clientsImage}; its Python packages are those of tests/clients. */
export async function clientsArchive(cache: Cache): Promise<string> {
  const root = await debianRoot('clients', [...tools, 'python3'], cache);
  return archive(cache, 'clients', [root, await Bun.file(requirements).text()], async (folder, file) => {
    await cp(root, folder, { recursive: true, verbatimSymlinks: true });
    await installPython(folder, requirements);
    await writeImageArchive(file, { rootfs: folder, name: clientsImage, command: ['/bin/sh'] });
  });
}

/** Installs the packages of a lock file, by their hashes, for the Python of a Debian root. */
export async function installPython(root: string, lock: string): Promise<void> {
  const libraries = await readdir(join(root, 'usr/lib'));
  const python = libraries.find((name) => /^python3\.\d+$/.test(name));
  if (python === undefined) throw new Error('the python3 package brought no /usr/lib/python3.N');
  await runOrThrow([
    ...['python3', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'],
    ...['--require-hashes', '--only-binary=:all:', '--python-version', python.slice('python'.length)],
    ...['--requirement', lock, '--target', join(root, 'usr/lib/python3/dist-packages')],
  ]);
}

/** What the server's image has beside the program, from the cache. Read it, don't write to it. */
export async function serverBase(cache: Cache, architecture = hostArchitecture()): Promise<string> {
  const sources = await recipes('base-root.ts', 'debian-packages.ts', 'architecture.ts');
  return cache.get(`server-base-${architecture}-${digest(...sources)}`, async (folder) => {
    await bringPrograms([MMDEBSTRAP], cache.report);
    await makeBaseRoot(folder, architecture);
  });
}

/**
 * The archive of {@link serverImage} around a compiled program, such as `dist/gke-metadata-server`: the image that
 * `scripts/build-image` makes for this machine's platform.
 */
export async function serverArchive(program: string, cache: Cache): Promise<string> {
  await cache.removeOld(/^server-[0-9a-f]{12}\.tar$/);
  const baseRoot = await serverBase(cache);
  const source = await sourceVersion(process.env);
  const content = new Bun.CryptoHasher('sha256');
  for await (const chunk of Bun.file(program).stream()) content.update(chunk);
  const sources = await recipes('server-image.ts', 'oci-layout.ts', 'layer.ts');
  const ingredients = [baseRoot, content.digest('hex'), JSON.stringify(source), ...sources];
  return archive(cache, 'server', ingredients, async (folder, file) => {
    const platform = { architecture: hostArchitecture(), baseRoot, program };
    await writeServerImage(folder, [platform], source, serverImage);
    await runOrThrow(['tar', '-cf', file, '-C', folder, 'oci-layout', 'index.json', 'blobs']);
  });
}

/** Keeps an archive in the cache, named after its contents. `fill` gets an empty folder and the file to write. */
export async function archive(
  cache: Cache,
  name: string,
  ingredients: readonly string[],
  fill: (folder: string, file: string) => Promise<void>,
): Promise<string> {
  const key = digest(...ingredients, await recipe('image-archive.ts'), await recipe('images.ts'));
  return cache.get(`${name}-${key}.tar`, async (file) => {
    const folder = `${file}.rootfs`;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    await fill(folder, file);
    await rm(folder, { recursive: true, force: true });
  });
}

/** The texts of the files that make the images: a changed recipe makes a new image. */
function recipes(...names: readonly string[]): Promise<string[]> {
  return Promise.all(names.map((name) => recipe(join('../../scripts/image', name))));
}

function recipe(file: string): Promise<string> {
  return Bun.file(join(import.meta.dir, file)).text();
}

function digest(...ingredients: readonly string[]): string {
  return new Bun.CryptoHasher('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 12);
}
