import type { Server } from 'bun';
import type { NodeWorld } from './node-world.ts';

const TOKEN = 'http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token';

/** Hears from Pods, on the host, which tokens they get, to the last one before they end. */
export class Reports implements AsyncDisposable {
  readonly #server: Server<undefined>;
  readonly #accounts = new Map<string, (string | undefined)[]>();
  readonly #toldToEnd = new Set<string>();

  constructor(private readonly world: NodeWorld) {
    const [hostname = ''] = world.cluster.hostAddresses;
    this.#server = Bun.serve({ hostname, port: 0, fetch: (request) => this.#report(request) });
  }

  /** What a Pod runs: requests and reports, repeatedly, until the end is requested. */
  command(name: string): readonly string[] {
    const ask = `curl --silent --show-error --fail --header Metadata-Flavor:Google ${TOKEN}`;
    const report = `curl --silent --data-binary @- ${this.#server.url.origin}/${name}`;
    return ['/bin/sh', '-c', `while [ "$(${ask} | ${report})" != end ]; do sleep 0.02; done`];
  }

  /** The accounts of the tokens that a Pod got, in order; undefined for one that is not Google's. */
  of(name: string): readonly (string | undefined)[] {
    return this.#accounts.get(name) ?? [];
  }

  tellToEnd(name: string): void {
    this.#toldToEnd.add(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }

  async #report(request: Request): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const answer = await request.text();
    // a Pod that is being ended may get no response any more
    if (answer !== '') {
      const account = this.world.accountOf(JSON.parse(answer).access_token);
      this.#accounts.set(name, [...this.of(name), account]);
    }
    return new Response(this.#toldToEnd.has(name) ? 'end' : 'go on');
  }
}
