import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Pod } from '../kubernetes/objects.ts';
import type { Identified, Replica } from '../kubernetes/reflector.ts';
import { socketSpellings } from './socket-spellings.ts';

export interface PodIndexEvents {
  /** A Pod has come to own this address. */
  gained(address: IPAddress): void;
  /** This Pod is gone. */
  removed(pod: Pod): void;
}

/**
 * The Pods of one Node, by address. Pods on the host network and finished ones own no address; one that several
 * claim belongs to the Pod started last, and goes back to the one before when that ends.
 */
export class PodIndex implements Replica<Pod> {
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
    for (const address of before === undefined ? [] : claims(before)) this.#settle(address);
    for (const address of claims(pod)) this.#settle(address);
  }

  remove({ uid }: Identified): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    for (const address of claims(pod)) this.#settle(address);
    this.events.removed(pod);
  }

  /** Gives the address to whom it belongs now. A Node has about a hundred Pods, and they change seldom. */
  #settle(address: IPAddress): void {
    let owner: Pod | undefined;
    for (const pod of this.#pods.values()) {
      if (claims(pod).includes(address) && (owner === undefined || isNewer(pod, owner))) owner = pod;
    }
    const before = this.#owners.get(address);
    for (const spelling of socketSpellings(address)) {
      if (owner === undefined) this.#owners.delete(spelling);
      else this.#owners.set(spelling, owner);
    }
    if (owner !== undefined && owner.uid !== before?.uid) this.events.gained(address);
  }
}

function claims(pod: Pod): readonly IPAddress[] {
  return pod.hostNetwork || pod.finished ? [] : pod.addresses;
}

/** Kubernetes tells seconds apart: within one the UID decides, always the same way. */
function isNewer(a: Pod, b: Pod): boolean {
  return a.startedAt === b.startedAt ? a.uid > b.uid : a.startedAt > b.startedAt;
}
