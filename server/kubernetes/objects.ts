import type { AddressRange } from './address-range.ts';
import type { IPAddress } from './ip-address.ts';

/** What the server keeps of a Pod: enough to know the caller, no more. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly nodeName: string;
  readonly serviceAccountName: string;
  readonly hostNetwork: boolean;
  /** `status.podIPs`, both families; empty until the kubelet has reported them. */
  readonly addresses: readonly IPAddress[];
  /** Phase Succeeded or Failed: it owns no address any more. */
  readonly finished: boolean;
  /** `status.startTime`, else creation, in milliseconds: the newest owner of a reused address wins. */
  readonly startedAt: number;
}

export interface Node {
  readonly name: string;
  readonly uid: string;
  readonly addresses: readonly IPAddress[];
  /** `spec.podCIDRs`: from which its Pods get their addresses, if the CNI keeps to them. */
  readonly podRanges: readonly AddressRange[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

export interface ServiceAccount extends ServiceAccountName {
  readonly uid: string;
  /** As they are: what they mean is known to the folder of each cloud. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** `boundObjectRef` of a TokenRequest: the token dies with this object. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Node';
  readonly name: string;
  readonly uid: string;
}
