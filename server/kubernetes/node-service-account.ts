import { Fault } from '../core/fault.ts';
import { isNamespaceName, isObjectName } from './api-path.ts';
import type { Node, ServiceAccountName } from './objects.ts';

const NAME_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';

/**
 * Who the Pods on a Node's host network are: annotations before labels, those before the configured default.
 * Throws `node-without-service-account` where none says anything, or what is said names no ServiceAccount.
 */
export function serviceAccountOfNode(
  node: Node,
  defaultServiceAccount: ServiceAccountName | undefined,
): ServiceAccountName {
  const name = node.annotations[NAME_KEY] ?? node.labels[NAME_KEY];
  const namespace = node.annotations[NAMESPACE_KEY] ?? node.labels[NAMESPACE_KEY];
  if (name === undefined && namespace === undefined) {
    if (defaultServiceAccount !== undefined) return defaultServiceAccount;
    throw without(node, 'has no ServiceAccount for Pods on the host network');
  }
  if (name === undefined || namespace === undefined) {
    throw without(node, `has ${name === undefined ? NAMESPACE_KEY : NAME_KEY} but not the other of the two`);
  }
  if (!isObjectName(name) || !isNamespaceName(namespace)) {
    throw without(
      node,
      `names a ServiceAccount that Kubernetes cannot have in ${NAME_KEY} or ${NAMESPACE_KEY}`,
    );
  }
  return { namespace, name };
}

function without({ name }: Node, what: string): Fault {
  return new Fault('node-without-service-account', `Node ${name} ${what}`, {
    remedy:
      `Set it: kubectl annotate node ${name} --overwrite ${NAMESPACE_KEY}=NAMESPACE ${NAME_KEY}=NAME, ` +
      'or give --default-node-service-account-namespace and --default-node-service-account-name.',
  });
}
