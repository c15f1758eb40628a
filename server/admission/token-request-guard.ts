import { Fault } from '../core/fault.ts';
import { isNamespaceName, isObjectName } from '../kubernetes/api-path.ts';
import type { AdmissionClient } from '../kubernetes/client.ts';
import { serviceAccountOfNode } from '../kubernetes/node-service-account.ts';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import { isJsonObject } from './json-patch.ts';
import { type AdmissionRequest, ALLOWED, type ReviewResponse, refused, refusedForNow } from './review.ts';

export interface TokenRequestGuardOptions {
  readonly client: Pick<AdmissionClient, 'getPod' | 'getNode' | 'getServiceAccount'>;
  /** The ServiceAccount whose requests are checked. */
  readonly serverServiceAccount: ServiceAccountName;
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
  /** The annotation that a ServiceAccount needs for a token with this audience, by audience. */
  readonly requiredAnnotations: ReadonlyMap<string, string>;
}

/** The Node of the Pod that a token is bound to; in every such token since Kubernetes 1.30. */
const NODE_NAME_EXTRA = 'authentication.kubernetes.io/node-name';

/** A UUID from an API server; other implementations may differ. */
const UID = /^[-\w]{1,128}$/;

/** Token requests by anybody but the server are allowed unchecked. */
export async function guardTokenRequest(
  request: AdmissionRequest,
  options: TokenRequestGuardOptions,
  signal?: AbortSignal,
): Promise<ReviewResponse> {
  const { namespace, name } = options.serverServiceAccount;
  if (
    request.resource !== 'serviceaccounts/token' ||
    request.operation !== 'CREATE' ||
    request.username !== `system:serviceaccount:${namespace}:${name}`
  ) {
    return ALLOWED;
  }
  const [node, ...others] = request.extra.get(NODE_NAME_EXTRA) ?? [];
  if (node === undefined || !isObjectName(node) || others.length > 0) {
    return refused(
      `the caller's token names no Node (${NODE_NAME_EXTRA}): the server may only use the token that the kubelet ` +
        'mounts into its Pod, on Kubernetes 1.30 or newer',
    );
  }
  try {
    const response = await checkBinding(request, node, options, signal);
    return response.allowed ? await checkAudiences(request, options, signal) : response;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'node-without-service-account') return refused(error.message);
    // the server keeps using the tokens it has, and retries
    return refusedForNow(`cannot check the token request: ${error.message}`);
  }
}

/**
 * The server of a Node gets tokens for the Pods of that Node and for the Node's own ServiceAccount, so that a
 * compromised Node does not compromise others. Reads live from the API server.
 */
async function checkBinding(
  request: AdmissionRequest,
  node: string,
  options: TokenRequestGuardOptions,
  signal: AbortSignal | undefined,
): Promise<ReviewResponse> {
  const { kind, apiVersion, name, uid } = boundObjectOf(request.object);
  const isBound =
    apiVersion === 'v1' &&
    typeof name === 'string' &&
    isObjectName(name) &&
    typeof uid === 'string' &&
    UID.test(uid);
  if (!isBound) return refused('the token must be bound to a Pod or a Node by apiVersion v1, name and uid');
  if (!isNamespaceName(request.namespace) || !isObjectName(request.name)) {
    return refused('the request does not name a ServiceAccount');
  }
  const serviceAccount = { namespace: request.namespace, name: request.name };
  if (kind === 'Pod') return checkPod(name, uid, serviceAccount, node, options, signal);
  if (kind === 'Node') return checkNode(name, uid, serviceAccount, node, options, signal);
  return refused('the token must be bound to a Pod or a Node');
}

async function checkPod(
  name: string,
  uid: string,
  serviceAccount: ServiceAccountName,
  node: string,
  { client }: TokenRequestGuardOptions,
  signal: AbortSignal | undefined,
): Promise<ReviewResponse> {
  const { namespace } = serviceAccount;
  const pod = await client.getPod(namespace, name, signal);
  if (pod === undefined || pod.uid !== uid) {
    return refused(`no Pod ${namespace}/${name} with UID ${uid}`);
  }
  if (pod.nodeName !== node) return refused(`Pod ${namespace}/${name} does not run on Node ${node}`);
  if (pod.serviceAccountName !== serviceAccount.name) {
    return refused(`Pod ${namespace}/${name} does not run as ServiceAccount ${serviceAccount.name}`);
  }
  if (pod.finished) return refused(`Pod ${namespace}/${name} has finished`);
  return ALLOWED;
}

async function checkNode(
  name: string,
  uid: string,
  serviceAccount: ServiceAccountName,
  callersNode: string,
  { client, defaultNodeServiceAccount }: TokenRequestGuardOptions,
  signal: AbortSignal | undefined,
): Promise<ReviewResponse> {
  if (name !== callersNode) {
    return refused(`the server on Node ${callersNode} may not act for Node ${name}`);
  }
  const node = await client.getNode(name, signal);
  if (node === undefined || node.uid !== uid) return refused(`no Node ${name} with UID ${uid}`);
  const own = serviceAccountOfNode(node, defaultNodeServiceAccount);
  if (own.namespace !== serviceAccount.namespace || own.name !== serviceAccount.name) {
    return refused(
      `Node ${name} may not be ServiceAccount ${serviceAccount.namespace}/${serviceAccount.name}: neither its ` +
        "annotations and labels nor the webhook's default say so",
    );
  }
  return ALLOWED;
}

/** A token for a cloud is only for ServiceAccounts that carry the cloud's annotation. */
async function checkAudiences(
  { namespace, name, object }: AdmissionRequest,
  { client, requiredAnnotations }: TokenRequestGuardOptions,
  signal: AbortSignal | undefined,
): Promise<ReviewResponse> {
  const required = audiencesOf(object).filter((audience) => requiredAnnotations.has(audience));
  if (required.length === 0) return ALLOWED;
  const serviceAccount = await client.getServiceAccount(namespace, name, signal);
  for (const audience of required) {
    const annotation = requiredAnnotations.get(audience) ?? '';
    if ((serviceAccount?.annotations[annotation] ?? '').trim() === '') {
      return refused(
        `ServiceAccount ${namespace}/${name} has no annotation ${annotation}, which a token for ${audience} needs`,
      );
    }
  }
  return ALLOWED;
}

function audiencesOf(tokenRequest: unknown): readonly string[] {
  const { spec } = isJsonObject(tokenRequest) ? tokenRequest : {};
  const { audiences } = isJsonObject(spec) ? spec : {};
  return Array.isArray(audiences) ? audiences.filter((audience) => typeof audience === 'string') : [];
}

function boundObjectOf(tokenRequest: unknown): Record<string, unknown> {
  const { spec } = isJsonObject(tokenRequest) ? tokenRequest : {};
  const { boundObjectRef } = isJsonObject(spec) ? spec : {};
  return isJsonObject(boundObjectRef) ? boundObjectRef : {};
}
