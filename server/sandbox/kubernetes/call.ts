import type { Call } from '../journal.ts';
import type { ResourceName } from './route.ts';
import type { BoundObjectRef } from './token-issuer.ts';

/** A request to the stand-in API server; never a token's value. */
export interface KubernetesCall extends Call {
  /** `other` where the resource is. */
  readonly verb: 'list' | 'watch' | 'get' | 'create' | 'other';
  /** `other`: a path that the stand-in has not, told in `name`. */
  readonly resource: ResourceName | 'other';
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Of a watch: where it began. */
  readonly resourceVersion: string | undefined;
  /** Of a token request, once its body has been read. */
  audiences: readonly string[] | undefined;
  expirationSeconds: number | undefined;
  boundObject: BoundObjectRef | undefined;
}
