import { pod } from '../../server/sandbox/kubernetes/objects.ts';
import { type Inhabitant, type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { startServe } from '../serve-process.ts';
import { loopback } from './loopback.ts';
import type { PodNetwork } from './pod-network.ts';
import type { PodPlace } from './pod-place.ts';

/** Somebody of the sandbox's world, and where to run clients as that one. */
export interface SandboxPod {
  readonly inhabitant: Inhabitant;
  readonly place: PodPlace;
  readonly world: SandboxWorld;
}

export type SandboxPods = ReadonlyMap<Inhabitant['name'], SandboxPod> & AsyncDisposable;

/**
 * The sandbox's inhabitants on the given network, with `serve` behind them: one server for all where
 * addresses tell them apart, else one each. The Node's own programs always come by loopback.
 */
export async function startSandboxPods(network: PodNetwork): Promise<SandboxPods> {
  await using stack = new AsyncDisposableStack();
  const pods = new Map<Inhabitant['name'], SandboxPod>();
  const everybody: Inhabitant['name'][] = ['annotated', 'direct', 'denied', 'node'];
  for (const names of network.podsHaveAddresses ? [everybody] : everybody.map((name) => [name])) {
    const world = stack.use(await startSandboxWorld());
    const residents: SandboxPod[] = [];
    for (const [index, inhabitant] of world.inhabitants.entries()) {
      if (!names.includes(inhabitant.name)) continue;
      const isNode = inhabitant.name === 'node';
      const place = stack.use(isNode ? await loopback() : await network.place(index));
      if (!isNode) {
        const { name, namespace, serviceAccountName } = inhabitant;
        const ips = [place.address];
        world.kubernetes.put(pod({ name, namespace, serviceAccountName, nodeName: world.nodeName, ips }));
      }
      residents.push({ inhabitant, place, world });
    }
    const server = stack.use(await startServe(world));
    for (const resident of residents) {
      await resident.place.connect(server.port);
      pods.set(resident.inhabitant.name, resident);
    }
  }
  const owned = stack.move();
  return Object.assign(pods, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}
