import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';

/** What the registry's caller asked for. */
export interface RegistryRequest {
  readonly method: string;
  /** `/v2/…` */
  readonly path: string;
}

/**
 * A registry (crane's) on loopback, behind a proxy that can refuse requests:
 * a registry that dies.
 */
export class LocalRegistry implements AsyncDisposable {
  /** Whether a request is refused from now on. */
  refuse: (request: RegistryRequest) => boolean = () => false;
  readonly requests: RegistryRequest[] = [];
  readonly #server: Bun.Server<undefined>;

  private constructor(
    private readonly child: Bun.Subprocess,
    port: string,
    /** Its folder of blobs: a folder for each algorithm, a file for each digest. */
    readonly blobs: string,
  ) {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 60,
      fetch: (request) => this.#pass(request, port),
    });
  }

  static async start(): Promise<LocalRegistry> {
    const crane = await goProgram('crane', new Cache());
    const blobs = await mkdtemp(join(tmpdir(), 'registry-'));
    const child = Bun.spawn([crane, 'registry', 'serve', '--address=127.0.0.1:0', '--disk', blobs], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    });
    let said = '';
    const port = Promise.withResolvers<string>();
    (async () => {
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        const found = /serving on port (\d+)/.exec(said)?.[1];
        if (found !== undefined) port.resolve(found);
      }
      port.reject(new Error(`the registry ended: ${said}`));
    })();
    return new LocalRegistry(child, await port.promise, blobs);
  }

  /** `127.0.0.1:PORT`: tools speak plain HTTP with it. */
  get host(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    this.child.kill();
    await this.child.exited;
    await rm(this.blobs, { recursive: true });
  }

  async #pass(request: Request, port: string): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const asked = { method: request.method, path: pathname };
    this.requests.push(asked);
    // not 5xx, which clients try again
    if (this.refuse(asked)) return Response.json({ errors: [{ code: 'DENIED' }] }, { status: 403 });
    const headers = new Headers(request.headers);
    headers.delete('host');
    headers.set('accept-encoding', 'identity');
    return fetch(`http://127.0.0.1:${port}${pathname}${search}`, {
      method: request.method,
      headers,
      redirect: 'manual',
      ...(request.body && { body: await request.bytes() }),
    });
  }
}
