import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { makeLayer } from '../../scripts/image/layer.ts';
import { writeOciLayout } from '../../scripts/image/oci-layout.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { serverBase } from '../cluster/images.ts';

/** Pushes an image with `timoni` on PATH, as the example's is. Returns its name by digest. `folder` is made. */
export async function pushTimoniImage(program: string, registry: string, folder: string): Promise<string> {
  const cache = new Cache();
  const root = join(folder, 'root');
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await copyFile(program, join(root, 'usr/bin/timoni'));
  const layers = [await makeLayer(await serverBase(cache), 'a test'), await makeLayer(root, 'a test')];
  const layout = join(folder, 'layout');
  const { index } = await writeOciLayout(layout, [{ architecture: hostArchitecture(), layers }], {
    user: '65532:65532',
    entrypoint: ['/usr/bin/timoni'],
    environment: { PATH: '/usr/bin:/bin' },
    labels: {},
    created: new Date(0),
  });
  const name = `${registry}/timoni@${index.digest}`;
  await new Registry(await goProgram('crane', cache)).push(layout, name);
  return name;
}
