import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { blobPath, makeLayer } from '../../scripts/image/layer.ts';
import { writeOciLayout } from '../../scripts/image/oci-layout.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { debianRoot } from '../cluster/images.ts';
import { nodePackages } from '../cluster/node-services.ts';

/** The part of a manifest that is looked at. */
interface Index {
  readonly mediaType: string;
  readonly manifests: readonly { readonly digest: string }[];
}

/**
 * A registry of one image, busybox, whose layer comes only after {@link release}: an image that takes long to pull, for
 * just as long as a test wants.
 */
export class SlowRegistry implements AsyncDisposable {
  /** What Pods reported, each as the end of a path: logs of a container can be read only after the first sync. */
  readonly reports: string[] = [];
  readonly #released = Promise.withResolvers<void>();
  readonly #server: Bun.Server<undefined>;

  private constructor(
    private readonly folder: string,
    hostname: string,
  ) {
    this.#server = Bun.serve({ hostname, port: 0, idleTimeout: 0, fetch: (request) => this.#serve(request) });
  }

  /** Listens on an address of the host. */
  static async start(hostname: string): Promise<SlowRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'slow-registry-'));
    const root = join(folder, 'root');
    await mkdir(root);
    await copyFile(
      join(await debianRoot('node', nodePackages, new Cache()), 'bin/busybox'),
      join(root, 'busybox'),
    );
    // a Node does not pull a layer again that it has by another name
    await Bun.write(join(root, 'unique'), crypto.randomUUID());
    const image = { architecture: hostArchitecture(), layers: [await makeLayer(root, 'busybox')] };
    await writeOciLayout(join(folder, 'layout'), [image], {
      user: '65535:65535',
      entrypoint: ['/busybox', 'true'],
      environment: {},
      labels: {},
      created: new Date(0),
    });
    return new SlowRegistry(folder, hostname);
  }

  get url(): string {
    return this.#server.url.origin;
  }

  /** Where a Pod reports to. */
  get reportURL(): string {
    return `${this.url}/report`;
  }

  /** Lets the layer come. */
  release(): void {
    this.#released.resolve();
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, kind, reference = ''] = /\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    if (kind === undefined) {
      const [, report] = /^\/report\/(.+)$/.exec(pathname) ?? [];
      if (report !== undefined) this.reports.push(report);
      return new Response('{}');
    }
    const layout = join(this.folder, 'layout');
    const index: Index = await Bun.file(join(layout, 'index.json')).json();
    const digest = reference.startsWith('sha256:') ? reference : (index.manifests[0]?.digest ?? '');
    const file = Bun.file(blobPath(layout, digest));
    if (!(await file.exists())) return new Response(null, { status: 404 });
    if (kind === 'blobs') {
      const isLayer = (await file.slice(0, 1).text()) !== '{';
      if (isLayer) await this.#released.promise;
      return new Response(file, { headers: { 'content-type': 'application/octet-stream' } });
    }
    const { mediaType }: Index = await file.json();
    const headers = { 'content-type': mediaType, 'docker-content-digest': digest };
    return new Response(await file.bytes(), { headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.stop(true);
    await rm(this.folder, { recursive: true, force: true });
  }
}
