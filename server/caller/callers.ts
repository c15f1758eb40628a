import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { type IPAddress, peerAddress } from '../kubernetes/ip-address.ts';
import type { BoundObject, Node, Pod, ServiceAccountName } from '../kubernetes/objects.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import type { Log } from '../telemetry/log.ts';
import type { Caller, Callers } from './caller.ts';
import { OwnNode } from './own-node.ts';
import { PendingCallers } from './pending-callers.ts';
import { PodIndex } from './pod-index.ts';
import { type CloudAnnotations, type KeptServiceAccount, ServiceAccounts } from './service-accounts.ts';

const NOT_REPORTED_LOG_MILLISECONDS = 30_000;

interface NodeCallersOptions {
  readonly client: KubernetesClient;
  readonly nodeName: string;
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
  readonly clouds: readonly CloudAnnotations[];
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly events: Pick<DomainEvents, 'watchRestarted' | 'objectUnreadable'>;
  readonly log: Log;
}

/** Whose address it is; the ServiceAccount itself is looked up after. */
interface Owner {
  readonly boundTo: BoundObject;
  readonly serviceAccountName: ServiceAccountName;
}

interface Identified {
  readonly serviceAccount: KeptServiceAccount;
  readonly caller: Caller;
}

/** The callers of one Node: its Pods, and itself. Knows nothing until {@link NodeCallers.run}. */
export class NodeCallers implements Callers {
  readonly #options: NodeCallersOptions;
  readonly #pods: PodIndex;
  readonly #ownNode: OwnNode;
  readonly #serviceAccounts: ServiceAccounts;
  readonly #pending: PendingCallers;
  readonly #podReflector: Reflector<Pod>;
  readonly #nodeReflector: Reflector<Node>;
  /** By UID of the Pod or Node. */
  readonly #identified = new Map<string, Identified>();
  /** The Node as it was last identified. */
  #nodeOwner: Owner | undefined;
  /** Requests answered `caller-not-reported` since the last line about them. */
  #notReported = 0;
  #logNotReportedAt = 0;

  constructor(options: NodeCallersOptions) {
    const { client, nodeName, clouds, effects, events, log } = options;
    this.#options = options;
    this.#pending = new PendingCallers(() => this.#podReflector.relist(), effects);
    this.#serviceAccounts = new ServiceAccounts({ client, clouds, effects, log });
    const gained = this.#pending.gained.bind(this.#pending);
    this.#pods = new PodIndex(nodeName, { gained, removed: (pod) => this.#forget(ownerOfPod(pod)) });
    this.#ownNode = new OwnNode(nodeName, options.defaultNodeServiceAccount, {
      gained,
      changed: () => this.#nodeChanged(),
    });
    const shared = { effects, events, log };
    this.#podReflector = new Reflector({
      ...shared,
      resource: client.podsOfNode(nodeName),
      store: this.#pods,
      name: 'pods',
    });
    this.#nodeReflector = new Reflector({
      ...shared,
      resource: client.node(nodeName),
      store: this.#ownNode,
      name: 'nodes',
    });
  }

  /** Watches Pods and Node until `signal` is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#podReflector.run(signal), this.#nodeReflector.run(signal)]);
  }

  /**
   * Resolves when Pods and Node are as new as the API server, if {@link run} runs. Throws `kubernetes-unavailable` or
   * `kubernetes-forbidden`.
   */
  async relist(): Promise<void> {
    await Promise.all([this.#podReflector.relist(), this.#nodeReflector.relist()]);
  }

  /** Whether Pods and Node have been listed once; stays true when the API server goes away. */
  inSync(): boolean {
    return this.#podReflector.inSync && this.#nodeReflector.inSync;
  }

  /** This Node as last seen. */
  node(): Node | undefined {
    return this.#ownNode.node;
  }

  known(socketAddress: string): Caller | undefined {
    // Every cached response comes through here: look-ups by the very string of the socket, and nothing made.
    const uid = this.#uidOf(socketAddress);
    if (uid === undefined) return undefined;
    const identified = this.#identified.get(uid);
    if (identified === undefined) return undefined;
    const { caller, serviceAccount } = identified;
    return serviceAccount.current() === caller.serviceAccount ? caller : undefined;
  }

  identify(socketAddress: string): Caller | Promise<Caller> {
    return this.known(socketAddress) ?? this.#identify(socketAddress);
  }

  /**
   * The caller that requests of this Pod come from, even if its address is not known; undefined if no such Pod runs
   * on this Node. Throws as {@link identify} does for a known address.
   */
  async identifyPod(uid: string): Promise<Caller | undefined> {
    const owner = this.#ownerOfPod(uid);
    if (owner === undefined) return undefined;
    return (await this.#callerOf(owner, () => this.#ownerOfPod(uid))) ?? this.identifyPod(uid);
  }

  /** All Pods of this Node, those without an address too. */
  pods(): Iterable<Pod> {
    return this.#pods.pods();
  }

  /** The callers that have been identified and still exist, without a look at their ServiceAccounts. */
  *identified(): Iterable<Caller> {
    for (const { caller } of this.#identified.values()) yield caller;
  }

  /** The Pod that owns a connection's peer address, as the socket spells it. */
  podAt(socketAddress: string): Pod | undefined {
    return this.#pods.ownerOf(socketAddress);
  }

  async #identify(socketAddress: string): Promise<Caller> {
    const owner = this.#ownerOf(socketAddress) ?? (await this.#pendingOwner(socketAddress));
    return (await this.#callerOf(owner, () => this.#ownerOf(socketAddress))) ?? this.identify(socketAddress);
  }

  /** Undefined if the owner, or the Node's ServiceAccount, changed while the ServiceAccount was looked at. */
  async #callerOf(owner: Owner, ownerNow: () => Owner | undefined): Promise<Caller | undefined> {
    if (owner.serviceAccountName.name === '') throw withoutServiceAccount(owner);
    const kept = this.#serviceAccounts.of(owner.serviceAccountName);
    const serviceAccount = await kept.resolve();
    if (!isSameOwner(owner, ownerNow())) return undefined;
    const before = this.#identified.get(owner.boundTo.uid);
    if (before?.caller.serviceAccount === serviceAccount) return before.caller;
    const caller: Caller = { serviceAccount, boundTo: owner.boundTo };
    this.#identified.set(owner.boundTo.uid, { serviceAccount: kept, caller });
    if (owner.boundTo.kind === 'Node') this.#nodeOwner = owner;
    return caller;
  }

  refused(caller: Caller): void {
    this.#identified.get(caller.boundTo.uid)?.serviceAccount.refused(caller.serviceAccount);
  }

  #uidOf(socketAddress: string): string | undefined {
    const pod = this.#pods.ownerOf(socketAddress);
    if (pod !== undefined) return pod.uid;
    return this.#ownNode.isOwn(socketAddress) ? this.#ownNode.node?.uid : undefined;
  }

  #ownerOf(socketAddress: string): Owner | undefined {
    const pod = this.#pods.ownerOf(socketAddress);
    if (pod !== undefined) return ownerOfPod(pod);
    const { node } = this.#ownNode;
    return node !== undefined && this.#ownNode.isOwn(socketAddress) ? this.#ownerOfNode(node) : undefined;
  }

  #ownerOfPod(uid: string): Owner | undefined {
    const pod = this.#pods.get(uid);
    if (pod === undefined || pod.finished) return undefined;
    if (!pod.hostNetwork) return ownerOfPod(pod);
    const { node } = this.#ownNode;
    return node === undefined ? undefined : this.#ownerOfNode(node);
  }

  #ownerOfNode(node: Node): Owner {
    return {
      boundTo: { kind: 'Node', name: node.name, uid: node.uid },
      serviceAccountName: this.#ownNode.serviceAccountName(node),
    };
  }

  async #pendingOwner(socketAddress: string): Promise<Owner> {
    const address = peerAddress(socketAddress);
    const isInSync = () => this.inSync();
    const isPossible = () => this.#pods.mayBePod(address, this.node());
    await this.#pending.expect(address, isInSync, () => isInSync() && isPossible());
    const owner = this.#ownerOf(socketAddress);
    if (owner !== undefined) return owner;
    const { nodeName } = this.#options;
    if (!this.inSync()) {
      throw new Fault('stores-not-in-sync', `the Pods of Node ${nodeName} are not known yet`, {
        remedy: 'Retry in a moment. If this persists, check the server log for API server errors.',
      });
    }
    if (isPossible()) {
      const fault = new Fault(
        'caller-not-reported',
        `the API server reports no running Pod with the IP ${address} on Node ${nodeName} yet`,
        {
          remedy:
            'Retry: the kubelet reports the IP of a Pod without init containers once all its containers have ' +
            'started. If this persists, compare the IP with those of the Pods of this Node: the CNI may masquerade it.',
        },
      );
      this.#logNotReported(address, fault);
      throw fault;
    }
    throw new Fault('caller-unknown', `no Pod of Node ${nodeName} has the address ${socketAddress}`, {
      remedy: `Ask from a running Pod of this Node: kubectl get pods -A -o wide --field-selector spec.nodeName=${nodeName}`,
    });
  }

  /** One line for all of them in a while: they retry. */
  #logNotReported(address: IPAddress, { code, message, remedy }: Fault): void {
    const { effects, log } = this.#options;
    this.#notReported += 1;
    const now = effects.now();
    if (now < this.#logNotReportedAt) return;
    const fields = { code, address, reason: message, remedy, requests: this.#notReported };
    log.warn(fields, 'caller not known yet');
    this.#notReported = 0;
    this.#logNotReportedAt = now + NOT_REPORTED_LOG_MILLISECONDS;
  }

  #nodeChanged(): void {
    const before = this.#nodeOwner;
    if (before === undefined || isSameOwner(before, this.#nodeOwnerNow())) return;
    this.#nodeOwner = undefined;
    this.#forget(before);
  }

  #nodeOwnerNow(): Owner | undefined {
    const { node } = this.#ownNode;
    try {
      return node === undefined ? undefined : this.#ownerOfNode(node);
    } catch {
      return undefined; // the next caller gets the reason
    }
  }

  #forget({ boundTo, serviceAccountName }: Owner): void {
    this.#identified.delete(boundTo.uid);
    for (const pod of this.#pods.pods()) {
      if (isSameName(ownerOfPod(pod).serviceAccountName, serviceAccountName)) return;
    }
    const ofNode = this.#nodeOwner?.serviceAccountName;
    if (ofNode === undefined || !isSameName(ofNode, serviceAccountName)) {
      this.#serviceAccounts.forget(serviceAccountName);
    }
  }
}

function withoutServiceAccount({ boundTo, serviceAccountName: { namespace } }: Owner): Fault {
  return new Fault('pod-without-service-account', `Pod ${namespace}/${boundTo.name} has no ServiceAccount`, {
    remedy:
      "A static Pod never has one. Run it as a DaemonSet, or on the host network with the Node's identity.",
  });
}

function ownerOfPod({ namespace, name, uid, serviceAccountName }: Pod): Owner {
  return {
    boundTo: { kind: 'Pod', name, uid },
    serviceAccountName: { namespace, name: serviceAccountName },
  };
}

function isSameOwner(a: Owner, b: Owner | undefined): boolean {
  return (
    b !== undefined &&
    a.boundTo.uid === b.boundTo.uid &&
    isSameName(a.serviceAccountName, b.serviceAccountName)
  );
}

function isSameName(a: ServiceAccountName, b: ServiceAccountName): boolean {
  return a.name === b.name && a.namespace === b.namespace;
}
