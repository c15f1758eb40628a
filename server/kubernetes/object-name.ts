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
