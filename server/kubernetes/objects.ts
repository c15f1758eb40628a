import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';
import type { Field } from './field.ts';
import { AddressRange, type IPAddress, parseIPAddress } from './ip-address.ts';

/** What the server keeps of a Pod: enough to identify the caller. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly nodeName: string;
  /** Empty if it has none: only the mirror of a static Pod, to which the API server gives no default. */
  readonly serviceAccountName: string;
  readonly hostNetwork: boolean;
  /** `status.podIPs`, both families; empty until the kubelet has reported them. */
  readonly addresses: readonly IPAddress[];
  /** Phase Succeeded or Failed: it no longer owns an address. */
  readonly finished: boolean;
  /** `status.startTime`, else creation, in milliseconds: the newest owner of a reused address wins. */
  readonly startedAt: number;
}

export interface Node {
  readonly name: string;
  readonly uid: string;
  readonly addresses: readonly IPAddress[];
  /** `spec.podCIDRs`: the ranges of its Pods' addresses, if the CNI uses them. */
  readonly podRanges: readonly AddressRange[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The name of any object; without a Namespace if it is in none. */
export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

export interface ServiceAccount extends ServiceAccountName {
  readonly uid: string;
  /** Raw: each cloud's folder reads its own. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What the webhook keeps of a ConfigMap: its `data`. */
export class ConfigMap {
  readonly #parsed = new Map<string, unknown>();

  constructor(private readonly data: Readonly<Record<string, string>>) {}

  /**
   * The JSON of a key, which all who share this object parse once; undefined if there is no such key or it is blank, null
   * if it does not contain JSON.
   */
  json(key: string): unknown {
    if (!Object.hasOwn(this.data, key)) return undefined;
    if (!this.#parsed.has(key)) this.#parsed.set(key, parseJson(this.data[key] ?? ''));
    return this.#parsed.get(key);
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `boundObjectRef` of a TokenRequest: deleting the object invalidates the token. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Node';
  readonly name: string;
  readonly uid: string;
}

/** What the webhook keeps of a Namespace. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface KubernetesToken {
  readonly token: Secret;
  /** Milliseconds since the epoch; the API server may shorten the requested lifetime. */
  readonly expiresAt: number;
}

/** An object that lacks a required field: it is left out, so the others are not affected. */
export interface Unreadable {
  /** Undefined if it cannot be read either. */
  readonly uid: string | undefined;
  /** `NAMESPACE/NAME`, or the part of it that can be read. */
  readonly name: string;
  readonly cause: Fault;
}

/** The names of a Namespace and a Pod, and the slash between them. */
const LONGEST_NAME = 320;

/** What is kept of a Pod (core/v1). Like all parsers here it throws `kubernetes-unavailable`, which names the field. */
export function parsePod(pod: Field): Pod {
  const metadata = pod.at('metadata');
  const spec = pod.at('spec');
  const status = pod.at('status');
  const phase = status.at('phase').textOr('Pending');
  const startTime = status.at('startTime');
  return {
    namespace: metadata.at('namespace').text(),
    name: metadata.at('name').text(),
    uid: metadata.at('uid').text(),
    nodeName: spec.at('nodeName').text(),
    serviceAccountName: spec.at('serviceAccountName').textOr(''),
    hostNetwork: spec.at('hostNetwork').isTrue(),
    addresses: parseAddresses(status.at('podIPs').items(), 'ip'),
    finished: isFinished(phase),
    startedAt: startTime.isMissing() ? metadata.at('creationTimestamp').time() : startTime.time(),
  };
}

/** Whether a Pod of this `status.phase` no longer owns an address. */
export function isFinished(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** What is kept of a Node (core/v1); of `status.addresses` only IP addresses, not host names. */
export function parseNode(node: Field): Node {
  const metadata = node.at('metadata');
  return {
    name: metadata.at('name').text(),
    uid: metadata.at('uid').text(),
    addresses: parseAddresses(node.at('status').at('addresses').items(), 'address'),
    podRanges: podRanges(node.at('spec').at('podCIDRs').items()),
    labels: metadata.at('labels').texts(),
    annotations: metadata.at('annotations').texts(),
  };
}

/** What is kept of a ServiceAccount (core/v1). */
export function parseServiceAccount(serviceAccount: Field): ServiceAccount {
  const metadata = serviceAccount.at('metadata');
  return {
    namespace: metadata.at('namespace').text(),
    name: metadata.at('name').text(),
    uid: metadata.at('uid').text(),
    annotations: metadata.at('annotations').texts(),
  };
}

/** The `status` of a TokenRequest (authentication.k8s.io/v1). */
export function parseToken(tokenRequest: Field): KubernetesToken {
  const status = tokenRequest.at('status');
  return {
    token: new Secret(status.at('token').text()),
    expiresAt: status.at('expirationTimestamp').time(),
  };
}

/** The parsed object, or why it cannot be read. Other errors than Faults are thrown. */
export function parseOrLeaveOut<T>(
  object: Field,
  parse: (object: Field) => T,
): { readonly read: T } | { readonly unreadable: Unreadable } {
  try {
    return { read: parse(object) };
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    const metadata = object.at('metadata');
    const name = ['namespace', 'name'].map((field) => metadata.at(field).textIfAny()).filter(Boolean);
    const unreadable = {
      uid: metadata.at('uid').textIfAny(),
      name: printable(name.join('/'), LONGEST_NAME),
      cause,
    };
    return { unreadable };
  }
}

/** What is kept of a Namespace (core/v1). */
export function parseNamespace(namespace: Field): Namespace {
  const metadata = namespace.at('metadata');
  return {
    name: metadata.at('name').text(),
    labels: metadata.at('labels').texts(),
    annotations: metadata.at('annotations').texts(),
  };
}

/** What is kept of a ConfigMap (core/v1). */
export function parseConfigMap(configMap: Field): ConfigMap {
  return new ConfigMap(configMap.at('data').texts());
}

export function parseResourceVersion(object: Field): string {
  return object.at('metadata').at('resourceVersion').text();
}

function podRanges(cidrs: readonly Field[]): AddressRange[] {
  return cidrs.map((cidr) => AddressRange.parse(cidr.textOr(''))).filter((range) => range !== undefined);
}

/** The IP addresses in the field `name` of each entry; other values (host names) are left out. */
export function parseAddresses(entries: readonly Field[], name: string): IPAddress[] {
  const parsed = entries.map((entry) => parseIPAddress(entry.at(name).textOr('')));
  return parsed.filter((address) => address !== undefined);
}
