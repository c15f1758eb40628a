import type { Kind } from './objects.ts';

export type ResourceName = 'pods' | 'nodes' | 'serviceaccounts' | 'serviceaccounts/token' | 'openid';

/** What a path of the API names. */
export type Route =
  | { readonly resource: 'openid'; readonly document: 'configuration' | 'jwks' }
  | {
      readonly resource: 'serviceaccounts/token';
      readonly namespace: string;
      readonly name: string;
    }
  | {
      readonly resource: 'pods' | 'nodes' | 'serviceaccounts';
      readonly kind: Kind;
      readonly namespace: string | undefined;
      /** Undefined: the collection. */
      readonly name: string | undefined;
    };

const API = '/api/v1/';
const KINDS = { pods: 'Pod', nodes: 'Node', serviceaccounts: 'ServiceAccount' } as const;

/** Undefined where the stand-in has no such path. */
export function parseRoute(pathname: string): Route | undefined {
  if (pathname === '/.well-known/openid-configuration') {
    return { resource: 'openid', document: 'configuration' };
  }
  if (pathname === '/openid/v1/jwks') return { resource: 'openid', document: 'jwks' };
  if (!pathname.startsWith(API)) return undefined;
  // names of Kubernetes objects need no percent-encoding
  const segments = pathname.slice(API.length).split('/');
  const [first, namespace, ...rest] = segments;
  return first === 'namespaces' && rest.length > 0
    ? parseResource(namespace, rest)
    : parseResource(undefined, segments);
}

function parseResource(namespace: string | undefined, segments: readonly string[]): Route | undefined {
  const [resource, name, subresource] = segments;
  if (segments.length === 3) {
    if (resource !== 'serviceaccounts' || subresource !== 'token' || name === undefined) return undefined;
    return namespace === undefined ? undefined : { resource: 'serviceaccounts/token', namespace, name };
  }
  if (segments.length > 3) return undefined;
  if (resource === 'nodes' && namespace === undefined) {
    return { resource, kind: KINDS[resource], namespace, name };
  }
  if (resource !== 'pods' && resource !== 'serviceaccounts') return undefined;
  // one object of a namespaced kind is found in its namespace only
  if (name !== undefined && namespace === undefined) return undefined;
  return { resource, kind: KINDS[resource], namespace, name };
}
