import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';
import { AddressRange } from './address-range.ts';
import type { KubernetesToken, Unreadable } from './client.ts';
import type { Field } from './field.ts';
import { type IPAddress, parseIPAddress } from './ip-address.ts';
import type { Node, Pod, ServiceAccount } from './objects.ts';

/** A Namespace's and a Pod's, and the slash between. */
const LONGEST_NAME = 320;

/** What is kept of a Pod (core/v1). Throws `kubernetes-unavailable`, as all here, naming the field at fault. */
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
    serviceAccountName: spec.at('serviceAccountName').textOr('default'),
    hostNetwork: spec.at('hostNetwork').isTrue(),
    addresses: parseAddresses(status.at('podIPs').items(), 'ip'),
    finished: phase === 'Succeeded' || phase === 'Failed',
    startedAt: startTime.isMissing() ? metadata.at('creationTimestamp').time() : startTime.time(),
  };
}

/** What is kept of a Node (core/v1); of `status.addresses` those that are IP addresses, names are none. */
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

/** What `parse` makes of an object, or that it cannot be read; any other failure is thrown. */
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

export function parseResourceVersion(object: Field): string {
  return object.at('metadata').at('resourceVersion').text();
}

function podRanges(cidrs: readonly Field[]): AddressRange[] {
  return cidrs.map((cidr) => AddressRange.parse(cidr.textOr(''))).filter((range) => range !== undefined);
}

/** The IP addresses in the field `name` of each entry; what is there and is none (a host name) is left out. */
export function parseAddresses(entries: readonly Field[], name: string): IPAddress[] {
  const parsed = entries.map((entry) => parseIPAddress(entry.at(name).textOr('')));
  return parsed.filter((address) => address !== undefined);
}
