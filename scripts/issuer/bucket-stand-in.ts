import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';

/** A public bucket over https, which serves the files that were put into its folder: for tests. */
export class StandInBucket implements AsyncDisposable {
  /** Of every object. */
  headers: Readonly<Record<string, string>> = { 'Content-Type': 'application/json' };
  readonly #server: Bun.Server<undefined>;

  private constructor(
    readonly folder: string,
    /** Its certificate, which no public CA has signed. */
    readonly certificateFile: string,
    tls: { readonly cert: string; readonly key: string },
  ) {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls,
      fetch: async ({ url }) => {
        const file = Bun.file(join(folder, normalize(new URL(url).pathname)));
        if (!(await file.exists())) return new Response('NoSuchKey', { status: 404 });
        return new Response(await file.bytes(), { headers: this.headers });
      },
    });
  }

  static async start(pem: { readonly certificate: string; readonly key: string }): Promise<StandInBucket> {
    const parent = await mkdtemp(join(tmpdir(), 'gkems-bucket-'));
    const certificateFile = join(parent, 'ca.crt');
    await Bun.write(certificateFile, pem.certificate);
    return new StandInBucket(join(parent, 'objects'), certificateFile, {
      cert: pem.certificate,
      key: pem.key,
    });
  }

  get url(): string {
    return `https://localhost:${this.#server.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    await rm(join(this.folder, '..'), { recursive: true, force: true });
  }
}
