import { Fault } from '../core/fault.ts';
import type { ObjectName } from './objects.ts';

// RFC 1123, as Kubernetes applies it to object names. A valid name cannot change the path of a URL.
const LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const NAMESPACE = new RegExp(`^${LABEL}$`);
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_SUBDOMAIN = 253;

/** Whether a Namespace can have this name. */
export function isNamespaceName(name: string): boolean {
  return NAMESPACE.test(name);
}

/** Whether a Pod, a Node, a ServiceAccount or a ConfigMap can have this name. */
export function isObjectName(name: string): boolean {
  return name.length <= LONGEST_SUBDOMAIN && SUBDOMAIN.test(name);
}

declare const brand: unique symbol;

/** The path and query of a request. Only this file makes them, so no name can lead to another path. */
export type ApiPath = string & { readonly [brand]: 'ApiPath' };

/** The resources of the core group that the programs request. */
type CoreResource = 'pods' | 'nodes' | 'namespaces' | 'serviceaccounts' | 'configmaps';

/** The path of one object. Throws `object-name-invalid`, so no request is made. */
export function objectPath(
  resource: CoreResource,
  { namespace, name }: ObjectName,
  subresource?: 'token',
): ApiPath {
  const parent = namespace === undefined ? '' : `namespaces/${checked('namespaces', namespace)}/`;
  const child = subresource === undefined ? '' : `/${subresource}`;
  return `/api/v1/${parent}${resource}/${checked(resource, name)}${child}` as ApiPath;
}

/** The path of the objects whose field has the value `nodeName`. Throws `object-name-invalid`. */
export function listPath(
  resource: CoreResource,
  field: 'spec.nodeName' | 'metadata.name',
  nodeName: string,
  query: Readonly<Record<string, string>> = {},
): ApiPath {
  const fieldSelector = `${field}=${checked('nodes', nodeName)}`;
  return `/api/v1/${resource}?${new URLSearchParams({ fieldSelector, ...query })}` as ApiPath;
}

/** A path without names. */
export function fixedPath(path: '/openid/v1/jwks'): ApiPath {
  return path as string as ApiPath;
}

function checked(resource: CoreResource, name: string): string {
  if (resource === 'namespaces' ? isNamespaceName(name) : isObjectName(name)) return name;
  // the name itself may be anything, and of any length
  throw new Fault('object-name-invalid', `cannot request ${resource}: the name is not valid (RFC 1123)`, {
    remedy: 'Use a valid Kubernetes name: lower case letters, digits, dashes and dots.',
  });
}
