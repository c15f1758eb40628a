import type { Fault } from '../core/fault.ts';
import type { Secret } from '../core/secret.ts';
import type { BoundObject, Node, Pod, ServiceAccount } from './objects.ts';

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | {
      readonly type: 'UNREADABLE';
      readonly object: Unreadable;
      /** Undefined if that cannot be read either. */
      readonly resourceVersion: string | undefined;
    };

/** An object of the API server that lacks what is needed of it: left out, so that one does not cost the others. */
export interface Unreadable {
  /** Undefined if that cannot be read either. */
  readonly uid: string | undefined;
  /** `NAMESPACE/NAME`, as far as it can be read. */
  readonly name: string;
  readonly cause: Fault;
}

export interface Listing<T> {
  readonly items: readonly T[];
  /** Those that are left out. */
  readonly unreadable?: readonly Unreadable[];
  readonly resourceVersion: string;
}

/** One kind of object, narrowed to what this Node may see. */
export interface Resource<T> {
  list(signal?: AbortSignal): Promise<Listing<T>>;
  /**
   * Events after `resourceVersion`, until the API server ends the watch, which it does every few minutes.
   * Throws {@link ResourceVersionExpired} on 410 Gone (HTTP status or ERROR event), a Fault otherwise.
   */
  watch(resourceVersion: string, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
}

/** 410 Gone: the version is compacted away; list again. */
export class ResourceVersionExpired extends Error {}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly audience: string;
  readonly expirationSeconds: number;
  readonly boundObject: BoundObject;
}

export interface KubernetesToken {
  readonly token: Secret;
  /** Milliseconds since the epoch, as the API server says (it may shorten what was asked). */
  readonly expiresAt: number;
}

/** Everything `serve` asks of the API server; its RBAC holds nothing more. */
export interface KubernetesClient {
  /** The Pods of one Node (`spec.nodeName`). */
  podsOfNode(nodeName: string): Resource<Pod>;
  /** One Node by name (`metadata.name`). */
  node(name: string): Resource<Node>;
  /** Undefined where there is none. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined>;
  /**
   * Throws `kubernetes-unavailable`, `kubernetes-forbidden`, `service-account-missing`, or `bound-object-gone`
   * where the bound object is gone or is another one of the same name (404 and 409 of the API server).
   */
  createToken(request: TokenRequest, signal?: AbortSignal): Promise<KubernetesToken>;
}
