import { Fault } from '../core/fault.ts';

// RFC 1123, as Kubernetes applies it to the names of its objects. A name that is one cannot leave its place in a URL.
const LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const NAMESPACE = new RegExp(`^${LABEL}$`);
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_SUBDOMAIN = 253;

/** Whether a Namespace can have this name. */
export function isNamespaceName(name: string): boolean {
  return NAMESPACE.test(name);
}

/** Whether a Pod, a Node or a ServiceAccount can have this name. */
export function isObjectName(name: string): boolean {
  return name.length <= LONGEST_SUBDOMAIN && SUBDOMAIN.test(name);
}

declare const brand: unique symbol;

/** The path and query of a request, made here alone, so that no name can lead to another path. */
export type ApiPath = string & { readonly [brand]: 'ApiPath' };

/** What the programs ask about, of the core group. */
type CoreResource = 'pods' | 'nodes' | 'namespaces' | 'serviceaccounts';

/** One object. Throws `object-name-invalid`, which keeps the request from being made. */
export function objectPath(
  resource: CoreResource,
  { namespace, name }: { readonly namespace?: string; readonly name: string },
  subresource?: 'token',
): ApiPath {
  const parent = namespace === undefined ? '' : `namespaces/${checked('namespaces', namespace)}/`;
  const child = subresource === undefined ? '' : `/${subresource}`;
  return `/api/v1/${parent}${resource}/${checked(resource, name)}${child}` as ApiPath;
}

/** The objects of a kind whose field has the value of a name. Throws `object-name-invalid`. */
export function listPath(
  resource: CoreResource,
  field: 'spec.nodeName' | 'metadata.name',
  nodeName: string,
  query: Readonly<Record<string, string>> = {},
): ApiPath {
  const fieldSelector = `${field}=${checked('nodes', nodeName)}`;
  return `/api/v1/${resource}?${new URLSearchParams({ fieldSelector, ...query })}` as ApiPath;
}

/** A path that has no names in it. */
export function fixedPath(path: '/openid/v1/jwks'): ApiPath {
  return path as string as ApiPath;
}

function checked(resource: CoreResource, name: string): string {
  if (resource === 'namespaces' ? isNamespaceName(name) : isObjectName(name)) return name;
  // the name itself may be anything, and of any length
  throw new Fault('object-name-invalid', `cannot ask for ${resource}: the name is not one (RFC 1123)`, {
    remedy: 'Use a name as Kubernetes allows them: lower case letters, digits, dashes and dots.',
  });
}
