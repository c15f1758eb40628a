import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import type { Cosign } from '../../scripts/publish/cosign.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { LocalRegistry } from '../release/local-registry.ts';
import { cosign, type Key, makeKey, scratchFolder } from '../release/small-release.ts';
import { waitUntil } from '../wait-until.ts';
import { applyExampleKinds } from './example-kinds.ts';
import { FluxControllers } from './flux-controllers.ts';

/** A condition of an object of Flux. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface WorldParts {
  readonly objects: Objects;
  /** Of the cluster's administrator. */
  readonly kubeconfig: string;
  readonly registry: Registry;
  readonly cosign: Cosign;
  /** Who signs releases. */
  readonly signer: Key;
  /** `HOST:PORT` of the registry. */
  readonly host: string;
  /** The registry's folder of blobs: a folder for each algorithm, a file for each digest. */
  readonly blobs: string;
  /** For what a test writes; gone with the world. */
  readonly folder: string;
}

/** An API server that knows the kinds of all examples, Flux's controllers on it, and a registry beside it. */
export class FluxWorld implements AsyncDisposable {
  private constructor(
    readonly parts: WorldParts,
    private readonly flux: FluxControllers,
    private readonly resources: AsyncDisposable,
  ) {}

  static async start(): Promise<FluxWorld> {
    await using resources = new AsyncDisposableStack();
    const cache = new Cache();
    const { path: folder } = resources.use(await scratchFolder());
    const { host, blobs } = resources.use(await LocalRegistry.start());
    const cluster = resources.use(await startCluster({ mode: 'api' }));
    const objects = new Objects(cluster.api);
    await applyExampleKinds(objects, cache);
    const flux = resources.use(await FluxControllers.start(cluster.kubeconfig, join(folder, 'flux')));
    const registry = new Registry(await goProgram('crane', cache));
    const signer = await makeKey(folder, 'signer');
    const { kubeconfig } = cluster;
    const parts = { objects, kubeconfig, registry, cosign: await cosign(), signer, host, blobs, folder };
    return new FluxWorld(parts, flux, resources.move());
  }

  async apply(...objects: readonly KubernetesObject[]): Promise<void> {
    for (const object of objects) await this.parts.objects.apply(object);
  }

  /** Applies the object, and waits for its conditions as soon as it is ready, or its controller says why it is not. */
  async settle(object: KubernetesObject): Promise<readonly Condition[]> {
    await this.apply(object);
    try {
      return await waitUntil(`${object.kind} ${object.metadata.name} is settled`, async () => {
        const current = await this.parts.objects.get(object);
        // Flux's own kinds, of which each has them
        const { conditions = [] } = Object(current?.['status']) as { conditions?: readonly Condition[] };
        const ready = conditions.find(({ type }) => type === 'Ready');
        return (ready?.status === 'True' || ready?.status === 'False') && conditions;
      });
    } catch (error) {
      throw new Error(`${error}\n${await this.flux.log()}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources[Symbol.asyncDispose]();
  }
}
