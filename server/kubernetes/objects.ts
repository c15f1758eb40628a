import type { GoogleServiceAccountEmail } from '../settings/google-service-account-email.ts';
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
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What the annotation `iam.gke.io/gcp-service-account` says. */
export type GoogleAccount =
  | { readonly kind: 'none' }
  | { readonly kind: 'account'; readonly email: GoogleServiceAccountEmail }
  | { readonly kind: 'invalid'; readonly value: string };

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly googleAccount: GoogleAccount;
}

/** `boundObjectRef` of a TokenRequest: the token dies with this object. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Node';
  readonly name: string;
  readonly uid: string;
}
