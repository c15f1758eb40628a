import { copyFile, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { writeImageArchive } from '../cluster/image-archive.ts';
import { archive, debianRoot } from '../cluster/images.ts';

/**
 * busybox, curl, iptables, and the libraries of AWS and Azure: {@link PYTHON_CLIENT} and {@link NODE_CLIENT} take what
 * tests/clients/others/python/client.py takes, and `python3 -m awscli` is the AWS CLI.
 */
export const cloudClientsImage = 'gke-metadata-server.test/cloud-clients:1';
export const PYTHON_CLIENT = ['python3', '/clients/client.py'] as const;
export const NODE_CLIENT = ['/clients/node', '/clients/client.js'] as const;

const OTHERS = join(import.meta.dir, '../clients/others');
// the last is what a Node needs that comes from elsewhere
const PACKAGES = ['busybox-static', 'curl', 'iptables', 'python3', 'libstdc++6'];

/** The docker-archive of {@link cloudClientsImage}. Its JavaScript runs on this machine's Node, or else on Bun. */
export async function cloudClientsArchive(cache: Cache): Promise<string> {
  const root = await debianRoot('cloud-clients', PACKAGES, cache);
  const node = Bun.which('node') ?? process.execPath;
  const requirements = join(OTHERS, 'python/requirements.txt');
  const sources = [
    requirements,
    join(OTHERS, 'python/client.py'),
    join(OTHERS, 'node/client.js'),
    join(OTHERS, 'node/bun.lock'),
    import.meta.path,
  ];
  const texts = await Promise.all(sources.map((source) => Bun.file(source).text()));
  return archive(cache, 'cloud-clients', [root, node, ...texts], async (folder, file) => {
    await cp(root, folder, { recursive: true, verbatimSymlinks: true });
    const clients = join(folder, 'clients');
    await mkdir(clients);
    for (const name of ['client.js', 'package.json', 'bun.lock']) {
      await copyFile(join(OTHERS, 'node', name), join(clients, name));
    }
    await copyFile(join(OTHERS, 'python/client.py'), join(clients, 'client.py'));
    await copyFile(node, join(clients, 'node'));
    await runOrThrow([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], {
      cwd: clients,
    });
    await installPython(folder, requirements);
    await writeImageArchive(file, { rootfs: folder, name: cloudClientsImage, command: ['/bin/sh'] });
  });
}

async function installPython(folder: string, requirements: string): Promise<void> {
  const libraries = await readdir(join(folder, 'usr/lib'));
  const python = libraries.find((name) => /^python3\.\d+$/.test(name));
  if (python === undefined) throw new Error('the python3 package brought no /usr/lib/python3.N');
  await runOrThrow([
    ...['python3', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'],
    ...['--require-hashes', '--only-binary=:all:', '--python-version', python.slice('python'.length)],
    ...['--requirement', requirements, '--target', join(folder, 'usr/lib/python3/dist-packages')],
  ]);
}
