import { familyOf, type IPAddress, socketSpellings } from '../kubernetes/ip-address.ts';
import type { Node, Pod } from '../kubernetes/objects.ts';
import type { Identified, Store } from '../kubernetes/reflector.ts';

interface PodIndexEvents {
  /** A Pod has come to own this address. */
  gained(address: IPAddress): void;
  /** This Pod is gone. */
  removed(pod: Pod): void;
}

/**
 * The Pods of one Node, by address. Pods on the host network and finished ones own no address; one that several
 * have belongs to the Pod started last, and goes back to the one before when that ends.
 */
export class PodIndex implements Store<Pod> {
  readonly #pods = new Map<string, Pod>();
  /** By every spelling a socket has for the address. */
  readonly #owners = new Map<string, Pod>();

  constructor(
    private readonly nodeName: string,
    private readonly events: PodIndexEvents,
  ) {}

  /** The Pod that owns a connection's peer address, as the socket spells it. One look-up. */
  ownerOf(socketAddress: string): Pod | undefined {
    return this.#owners.get(socketAddress);
  }

  get(uid: string): Pod | undefined {
    return this.#pods.get(uid);
  }

  /** All Pods, those without an address too. */
  pods(): Iterable<Pod> {
    return this.#pods.values();
  }

  /**
   * Whether an address that no Pod owns may be that of a Pod whose address the kubelet has not reported yet. It does so
   * after its first sync of the Pod, which ends when all containers have started: minutes, if an image is slow to pull.
   *
   * The Node's `spec.podCIDRs` answer that only if the CNI allocates from them, which many do not (Calico's and
   * Cilium's own pools, the VPC's addresses on EKS). They are trusted if a Pod of this Node has an address in them and
   * none has one outside, for each family by itself. Otherwise any address may be a Pod's.
   */
  mayBePod(address: IPAddress, node: Node | undefined): boolean {
    const family = familyOf(address);
    const ranges = (node?.podRanges ?? []).filter((range) => range.family === family);
    if (ranges.length === 0) return true;
    const isInRange = (candidate: IPAddress) => ranges.some((range) => range.contains(candidate));
    if (isInRange(address)) return true;
    let hasPods = false;
    for (const pod of this.#pods.values()) {
      if (pod.hostNetwork) continue;
      for (const own of pod.addresses) {
        if (familyOf(own) !== family) continue;
        if (!isInRange(own)) return true;
        hasPods = true;
      }
    }
    return !hasPods;
  }

  replace(pods: readonly Pod[]): void {
    const present = new Set(pods.map((pod) => pod.uid));
    for (const pod of [...this.#pods.values()]) if (!present.has(pod.uid)) this.remove(pod);
    for (const pod of pods) this.put(pod);
  }

  put(pod: Pod): void {
    if (pod.nodeName !== this.nodeName) {
      this.remove(pod);
      return;
    }
    const before = this.#pods.get(pod.uid);
    this.#pods.set(pod.uid, pod);
    for (const address of before === undefined ? [] : ownedAddresses(before)) this.#settle(address);
    for (const address of ownedAddresses(pod)) this.#settle(address);
  }

  remove({ uid }: Identified): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    for (const address of ownedAddresses(pod)) this.#settle(address);
    this.events.removed(pod);
  }

  /** Gives the address to whom it belongs now. A Node has about a hundred Pods, and they change seldom. */
  #settle(address: IPAddress): void {
    let owner: Pod | undefined;
    for (const pod of this.#pods.values()) {
      if (ownedAddresses(pod).includes(address) && (owner === undefined || isNewer(pod, owner))) owner = pod;
    }
    const before = this.#owners.get(address);
    for (const spelling of socketSpellings(address)) {
      if (owner === undefined) this.#owners.delete(spelling);
      else this.#owners.set(spelling, owner);
    }
    if (owner !== undefined && owner.uid !== before?.uid) this.events.gained(address);
  }
}

function ownedAddresses(pod: Pod): readonly IPAddress[] {
  return pod.hostNetwork || pod.finished ? [] : pod.addresses;
}

/** Kubernetes tells seconds apart: within one the UID decides, always the same way. */
function isNewer(a: Pod, b: Pod): boolean {
  return a.startedAt === b.startedAt ? a.uid > b.uid : a.startedAt > b.startedAt;
}
