import { copyFile, cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { writeImageArchive } from '../cluster/image-archive.ts';
import { archive, debianRoot, installPython } from '../cluster/images.ts';

/**
 * busybox, curl, iptables, and the libraries of AWS and Azure: {@link PYTHON_CLIENT} and {@link NODE_CLIENT} take what
 * tests/clients/others/python/client.py takes, and `python3 -m awscli` is the AWS CLI. {@link METADATA_CLIENT} takes what
 * its metadata.py takes.
 */
export const otherCloudsImage = 'gke-metadata-server.test/other-clouds:1';
export const PYTHON_CLIENT = ['python3', '/clients/client.py'] as const;
export const METADATA_CLIENT = ['python3', '/clients/metadata.py'] as const;
export const NODE_CLIENT = ['/clients/node', '/clients/client.js'] as const;

const OTHERS = join(import.meta.dir, '../clients/others');
// the last is what a Node needs that comes from elsewhere
const PACKAGES = ['busybox-static', 'curl', 'iptables', 'python3', 'libstdc++6'];

/** The docker-archive of {@link otherCloudsImage}. Its JavaScript runs on this machine's Node, or else on Bun. */
export async function otherCloudsArchive(cache: Cache): Promise<string> {
  const root = await debianRoot('other-clouds', PACKAGES, cache);
  const node = Bun.which('node') ?? process.execPath;
  const requirements = join(OTHERS, 'python/requirements.txt');
  const sources = [
    requirements,
    join(OTHERS, 'python/client.py'),
    join(OTHERS, 'python/metadata.py'),
    join(OTHERS, 'node/client.js'),
    join(OTHERS, 'node/bun.lock'),
    import.meta.path,
  ];
  const texts = await Promise.all(sources.map((source) => Bun.file(source).text()));
  return archive(cache, 'other-clouds', [root, node, ...texts], async (folder, file) => {
    await cp(root, folder, { recursive: true, verbatimSymlinks: true });
    const clients = join(folder, 'clients');
    await mkdir(clients);
    for (const name of ['client.js', 'package.json', 'bun.lock']) {
      await copyFile(join(OTHERS, 'node', name), join(clients, name));
    }
    for (const name of ['client.py', 'metadata.py']) {
      await copyFile(join(OTHERS, 'python', name), join(clients, name));
    }
    await copyFile(node, join(clients, 'node'));
    await runOrThrow([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], {
      cwd: clients,
    });
    await installPython(folder, requirements);
    await writeImageArchive(file, { rootfs: folder, name: otherCloudsImage, command: ['/bin/sh'] });
  });
}

/**
 * What a client printed, of the log of its Pod: one line of JSON. What libraries write to standard error may come before
 * it, or after.
 */
export function printedBy<Printed>(log: string): Printed {
  // each test knows what its client prints
  return JSON.parse(log.split('\n').findLast((line) => line.startsWith('{')) ?? log) as Printed;
}
