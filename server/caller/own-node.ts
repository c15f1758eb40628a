import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Node } from '../kubernetes/objects.ts';
import type { Replica } from '../kubernetes/reflector.ts';
import { Fault } from '../runtime/fault.ts';
import type { ServiceAccountName } from '../settings/serve-settings.ts';
import { socketSpellings } from './socket-spellings.ts';

const NAME_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';

/** RFC 1123: what Kubernetes takes for a name. These values end up in a URL. */
const OBJECT_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

export interface OwnNodeEvents {
  /** A connection from this address is the Node's now. */
  gained(address: IPAddress): void;
  /** The Node is another or has changed: what its processes may be is to be asked again. */
  changed(): void;
}

/** The Node this server runs on: its addresses, and the ServiceAccount of its host-network Pods. */
export class OwnNode implements Replica<Node> {
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

  remove({ uid }: Node): void {
    if (uid !== this.#node?.uid) return;
    this.#node = undefined;
    this.#addresses = new Set();
    this.events.changed();
  }

  /** Whether a peer, as the socket spells it, is a process on this Node's own network. */
  isOwn(socketAddress: string): boolean {
    return this.#addresses.has(socketAddress) || isLoopback(socketAddress);
  }

  /**
   * Annotations before labels, those before the configured default. Throws `node-without-service-account` where
   * none says anything, or what is said names no ServiceAccount.
   */
  serviceAccountName(node: Node): ServiceAccountName {
    const name = node.annotations[NAME_KEY] ?? node.labels[NAME_KEY];
    const namespace = node.annotations[NAMESPACE_KEY] ?? node.labels[NAMESPACE_KEY];
    if (name === undefined && namespace === undefined) {
      if (this.defaultServiceAccount !== undefined) return this.defaultServiceAccount;
      throw this.#without('has no ServiceAccount for Pods on the host network');
    }
    if (name === undefined || namespace === undefined) {
      throw this.#without(
        `has ${name === undefined ? NAMESPACE_KEY : NAME_KEY} but not the other of the two`,
      );
    }
    if (!OBJECT_NAME.test(name) || !OBJECT_NAME.test(namespace)) {
      throw this.#without(
        `names a ServiceAccount that Kubernetes cannot have in ${NAME_KEY} or ${NAMESPACE_KEY}`,
      );
    }
    return { namespace, name };
  }

  #without(what: string): Fault {
    return new Fault('node-without-service-account', `Node ${this.name} ${what}`, {
      remedy:
        `Set it: kubectl annotate node ${this.name} --overwrite ${NAMESPACE_KEY}=NAMESPACE ${NAME_KEY}=NAME, ` +
        'or give --default-node-service-account-namespace and --default-node-service-account-name.',
    });
  }
}

/** 127.0.0.0/8 (RFC 1122) and ::1: no Pod with a network of its own can come from there. */
function isLoopback(socketAddress: string): boolean {
  return (
    socketAddress === '::1' || socketAddress.startsWith('127.') || socketAddress.startsWith('::ffff:127.')
  );
}
