import { Fault } from '../core/fault.ts';
import { escaped } from '../core/printable.ts';
import { isNamespaceName, isObjectName } from './api-path.ts';
import type { Node, ServiceAccountName } from './objects.ts';

const NAME_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE_KEY = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';

/** Characters of an invalid value that are shown. */
const SHOWN = 100;

/**
 * The ServiceAccount of a Node's host-network Pods: from annotations, else labels, else the configured default.
 * Throws `node-without-service-account` if there is none, or if the names are not valid.
 */
export function serviceAccountOfNode(
  node: Node,
  defaultServiceAccount: ServiceAccountName | undefined,
): ServiceAccountName {
  // white space, as of a YAML block, is never part of a name
  const name = (node.annotations[NAME_KEY] ?? node.labels[NAME_KEY])?.trim();
  const namespace = (node.annotations[NAMESPACE_KEY] ?? node.labels[NAMESPACE_KEY])?.trim();
  if (name === undefined && namespace === undefined) {
    if (defaultServiceAccount !== undefined) return defaultServiceAccount;
    throw without(node, 'has no ServiceAccount for Pods on the host network');
  }
  if (name === undefined || namespace === undefined) {
    throw without(
      node,
      `has ${name === undefined ? NAMESPACE_KEY : NAME_KEY} but not ${name === undefined ? NAME_KEY : NAMESPACE_KEY}`,
    );
  }
  const invalid = (key: string, value: string) =>
    without(node, `has an invalid ServiceAccount: ${key} is ${escaped(value, SHOWN)}`);
  if (!isObjectName(name)) throw invalid(NAME_KEY, name);
  if (!isNamespaceName(namespace)) throw invalid(NAMESPACE_KEY, namespace);
  return { namespace, name };
}

function without({ name }: Node, what: string): Fault {
  return new Fault('node-without-service-account', `Node ${name} ${what}`, {
    remedy:
      `Run: kubectl annotate node ${name} --overwrite ${NAMESPACE_KEY}=NAMESPACE ${NAME_KEY}=NAME, ` +
      'or set --default-node-service-account-namespace and --default-node-service-account-name.',
  });
}
