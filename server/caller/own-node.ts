import { type IPAddress, socketSpellings } from '../kubernetes/ip-address.ts';
import { serviceAccountOfNode } from '../kubernetes/node-service-account.ts';
import type { Node, ServiceAccountName } from '../kubernetes/objects.ts';
import type { Identified, Store } from '../kubernetes/reflector.ts';

interface OwnNodeEvents {
  /** A connection from this address is the Node's now. */
  gained(address: IPAddress): void;
  /** The Node is another or has changed: what its processes may be is to be asked again. */
  changed(): void;
}

/** The Node this server runs on: its addresses, and the ServiceAccount of its host-network Pods. */
export class OwnNode implements Store<Node> {
  #node: Node | undefined;
  #addresses: ReadonlySet<string> = new Set();

  constructor(
    private readonly name: string,
    private readonly defaultServiceAccount: ServiceAccountName | undefined,
    private readonly events: OwnNodeEvents,
  ) {}

  get node(): Node | undefined {
    return this.#node;
  }

  replace(nodes: readonly Node[]): void {
    const own = nodes.find((node) => node.name === this.name);
    if (own !== undefined) this.put(own);
    else if (this.#node !== undefined) this.remove(this.#node);
  }

  put(node: Node): void {
    if (node.name !== this.name) return;
    const before = this.#addresses;
    this.#node = node;
    this.#addresses = new Set(node.addresses.flatMap(socketSpellings));
    this.events.changed();
    for (const address of node.addresses) if (!before.has(address)) this.events.gained(address);
  }

  remove({ uid }: Identified): void {
    if (uid !== this.#node?.uid) return;
    this.#node = undefined;
    this.#addresses = new Set();
    this.events.changed();
  }

  /** Whether a peer, as the socket spells it, is a process on this Node's own network. */
  isOwn(socketAddress: string): boolean {
    return this.#addresses.has(socketAddress) || isLoopback(socketAddress);
  }

  /** {@link serviceAccountOfNode} with the configured default. */
  serviceAccountName(node: Node): ServiceAccountName {
    return serviceAccountOfNode(node, this.defaultServiceAccount);
  }
}

/** 127.0.0.0/8 (RFC 1122) and ::1: no Pod with a network of its own can come from there. */
function isLoopback(socketAddress: string): boolean {
  return (
    socketAddress === '::1' || socketAddress.startsWith('127.') || socketAddress.startsWith('::ffff:127.')
  );
}
