import { urlHost } from '../../server/network/redirect-rules.ts';
import type { Inhabitant } from '../../server/sandbox/inhabitants.ts';
import { pod } from '../../server/sandbox/kubernetes/objects.ts';
import { type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { startServe } from '../serve-process.ts';
import { loopback } from './loopback.ts';
import { INJECTED } from './network-namespace.ts';
import type { PodNetwork } from './pod-network.ts';
import { type PodPlace, variablesFor } from './pod-place.ts';

/** Somebody of the sandbox's world, and where to run clients as that one. */
export interface SandboxPod {
  readonly inhabitant: Inhabitant;
  readonly place: PodPlace;
  readonly world: SandboxWorld;
}

/** The sandbox's inhabitants, and one that is `annotated` in mode Environment: it has only the variables. */
export type Resident = Inhabitant['name'] | 'environment';

export type SandboxPods = ReadonlyMap<Resident, SandboxPod> & AsyncDisposable;

/**
 * The sandbox's inhabitants on the given network, with `serve` behind them: one server for all where
 * addresses tell them apart, else one each. The Node's own programs always come by loopback.
 */
export async function startSandboxPods(network: PodNetwork): Promise<SandboxPods> {
  await using stack = new AsyncDisposableStack();
  const pods = new Map<Resident, SandboxPod>();
  const everybody: Resident[] = ['annotated', 'direct', 'denied', 'node', 'environment'];
  for (const names of network.podsHaveAddresses ? [everybody] : everybody.map((name) => [name])) {
    const world = stack.use(await startSandboxWorld());
    const server = stack.use(await startServe(world));
    for (const [index, name] of names.entries()) {
      const inhabitant = inhabitantOf(world, name);
      const place = stack.use(await placeOf(name, index, network));
      if (name !== 'node') {
        const { namespace, serviceAccountName } = inhabitant;
        const ips = [place.address];
        world.kubernetes.put(pod({ name, namespace, serviceAccountName, nodeName: world.nodeName, ips }));
      }
      if (name === 'environment') {
        pods.set(name, { inhabitant, place: onlyTold(place, server.port), world });
      } else {
        await place.connect(server.port);
        pods.set(name, { inhabitant, place, world });
      }
    }
  }
  const owned = stack.move();
  return Object.assign(pods, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

function inhabitantOf(world: SandboxWorld, resident: Resident): Inhabitant {
  const name = resident === 'environment' ? 'annotated' : resident;
  const found = world.inhabitants.find((inhabitant) => inhabitant.name === name);
  if (found === undefined) throw new Error(`the sandbox has no '${name}'`);
  return found;
}

function placeOf(resident: Resident, index: number, network: PodNetwork): Promise<PodPlace> {
  if (resident === 'node') return loopback();
  const names = { ...INJECTED, hostsEntry: false, variables: false };
  return resident === 'environment' ? network.place(index, names) : network.place(index);
}

/** A place without a redirect: its clients are configured with the server's address on the Node. */
function onlyTold(place: PodPlace, serverPort: number): PodPlace {
  const host = `${urlHost(place.nodeAddress)}:${serverPort}`;
  return {
    ...place,
    origin: `http://${host}`,
    run: (command, variables) => place.run(command, { ...variablesFor(host), ...variables }),
  };
}
