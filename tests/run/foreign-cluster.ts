import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A stand-in for the cluster of a person who runs the tests: it refuses and records every request. */
export class ForeignCluster implements AsyncDisposable {
  /** `METHOD PATH` of each request. */
  readonly requests: string[] = [];
  readonly #server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ method, url }) => {
      this.requests.push(`${method} ${new URL(url).pathname}`);
      return new Response('this is not a cluster for tests', { status: 403 });
    },
  });

  private constructor(private readonly folder: string) {}

  static async start(): Promise<ForeignCluster> {
    const cluster = new ForeignCluster(await mkdtemp(join(tmpdir(), 'foreign-cluster-')));
    await Bun.write(cluster.kubeconfig, JSON.stringify(kubeconfig(cluster.#server.url.origin)));
    return cluster;
  }

  /** A file that names it. */
  get kubeconfig(): string {
    return join(this.folder, 'kubeconfig');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    await rm(this.folder, { recursive: true });
  }
}

function kubeconfig(server: string): object {
  return {
    clusters: [{ name: 'foreign', cluster: { server } }],
    users: [{ name: 'foreign', user: { token: 'foreign' } }],
    contexts: [{ name: 'foreign', context: { cluster: 'foreign', user: 'foreign' } }],
    'current-context': 'foreign',
  };
}
