import type { AuthenticationV1TokenRequest } from '@kubernetes/client-node';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { objectPath } from './api-path.ts';
import { type ApiCall, ApiRefusal, type ApiServer, faultOf, getObject } from './api-server.ts';
import { Field } from './field.ts';
import {
  type BoundObject,
  type ConfigMap,
  type KubernetesToken,
  type Namespace,
  type Node,
  type Pod,
  parseConfigMap,
  parseNamespace,
  parseNode,
  parsePod,
  parseServiceAccount,
  parseToken,
  type ServiceAccount,
  type ServiceAccountName,
} from './objects.ts';
import { type Resource, restResource } from './resource.ts';

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly audience: string;
  readonly expirationSeconds: number;
  readonly boundObject: BoundObject;
}

/** All requests of `serve` to the API server; its RBAC grants nothing more. */
export interface KubernetesClient {
  /** The Pods of one Node (`spec.nodeName`). */
  podsOfNode(nodeName: string): Resource<Pod>;
  /** One Node by name (`metadata.name`). */
  node(name: string): Resource<Node>;
  /** Undefined if it does not exist. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined>;
  /**
   * Throws `kubernetes-unavailable`, `kubernetes-forbidden`, `service-account-missing`, or `bound-object-gone`
   * if the bound object is gone, or has been replaced by one of the same name (404 and 409 of the API server).
   */
  createToken(request: TokenRequest, signal?: AbortSignal): Promise<KubernetesToken>;
}

/** {@link KubernetesClient} over HTTP. JSON is parsed and checked here, and nowhere else. */
export class RestClient implements KubernetesClient {
  constructor(
    private readonly server: ApiServer,
    private readonly effects: Pick<Effects, 'random'>,
  ) {}

  podsOfNode(nodeName: string): Resource<Pod> {
    return restResource(this.server, this.effects.random, {
      name: 'pods',
      field: 'spec.nodeName',
      nodeName,
      kind: 'Pod',
      parse: parsePod,
    });
  }

  node(name: string): Resource<Node> {
    return restResource(this.server, this.effects.random, {
      name: 'nodes',
      field: 'metadata.name',
      nodeName: name,
      kind: 'Node',
      parse: parseNode,
    });
  }

  async getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined> {
    return getServiceAccount(this.server, { namespace, name }, signal);
  }

  async createToken(request: TokenRequest, signal?: AbortSignal): Promise<KubernetesToken> {
    const call: ApiCall = {
      verb: 'create',
      resource: 'serviceaccounts/token',
      path: objectPath(
        'serviceaccounts',
        { namespace: request.namespace, name: request.serviceAccountName },
        'token',
      ),
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: [request.audience],
          expirationSeconds: request.expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', ...request.boundObject },
        },
      } satisfies AuthenticationV1TokenRequest,
    };
    try {
      return parseToken(new Field(await this.server.json(call, signal), 'TokenRequest'));
    } catch (error) {
      throw error instanceof ApiRefusal ? tokenFault(error, request) : error;
    }
  }
}

function getServiceAccount(
  server: ApiServer,
  name: ServiceAccountName,
  signal?: AbortSignal,
): Promise<ServiceAccount | undefined> {
  const call = { resource: 'serviceaccounts', path: objectPath('serviceaccounts', name) };
  return getObject(server, call, 'ServiceAccount', parseServiceAccount, signal);
}

/** The fault for a ServiceAccount that a Pod or Node names and that does not exist. */
export function serviceAccountMissing({ namespace, name }: ServiceAccountName, cause?: unknown): Fault {
  return new Fault('service-account-missing', `there is no ServiceAccount ${namespace}/${name}`, {
    remedy: `Create it: kubectl create serviceaccount --namespace ${namespace} ${name}`,
    cause,
  });
}

function tokenFault(
  refusal: ApiRefusal,
  { namespace, serviceAccountName, boundObject }: TokenRequest,
): Fault {
  const { code, reason, kind } = refusal.status;
  const boundObjectGone = code === 409 || (code === 404 && (kind === 'pods' || kind === 'nodes'));
  if (boundObjectGone) {
    const what = `${boundObject.kind} ${boundObject.name} (UID ${boundObject.uid})`;
    return new Fault('bound-object-gone', `cannot bind a token to ${what}: it is gone`, {
      remedy: 'None if the Pod just terminated; otherwise retry once its replacement is running.',
      cause: refusal,
    });
  }
  if (code === 404 && reason === 'NotFound') {
    return serviceAccountMissing({ namespace, name: serviceAccountName }, refusal);
  }
  return faultOf(refusal);
}

/**
 * All requests of the webhook to the API server, never cached; its RBAC grants nothing more.
 * Each returns undefined if the object does not exist, and throws `kubernetes-unavailable`, `kubernetes-forbidden`
 * or `object-name-invalid`, the last without a request.
 */
export interface AdmissionClient {
  getPod(namespace: string, name: string, signal?: AbortSignal): Promise<Pod | undefined>;
  getNode(name: string, signal?: AbortSignal): Promise<Node | undefined>;
  getNamespace(name: string, signal?: AbortSignal): Promise<Namespace | undefined>;
  getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined>;
  getConfigMap(namespace: string, name: string, signal?: AbortSignal): Promise<ConfigMap | undefined>;
}

/** {@link AdmissionClient} over HTTP. */
export class AdmissionRestClient implements AdmissionClient {
  constructor(private readonly server: ApiServer) {}

  async getPod(namespace: string, name: string, signal?: AbortSignal): Promise<Pod | undefined> {
    const path = objectPath('pods', { namespace, name });
    return getObject(this.server, { resource: 'pods', path }, 'Pod', parsePod, signal);
  }

  async getNode(name: string, signal?: AbortSignal): Promise<Node | undefined> {
    const path = objectPath('nodes', { name });
    return getObject(this.server, { resource: 'nodes', path }, 'Node', parseNode, signal);
  }

  async getNamespace(name: string, signal?: AbortSignal): Promise<Namespace | undefined> {
    const path = objectPath('namespaces', { name });
    return getObject(this.server, { resource: 'namespaces', path }, 'Namespace', parseNamespace, signal);
  }

  async getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined> {
    return getServiceAccount(this.server, { namespace, name }, signal);
  }

  async getConfigMap(namespace: string, name: string, signal?: AbortSignal): Promise<ConfigMap | undefined> {
    const path = objectPath('configmaps', { namespace, name });
    return getObject(this.server, { resource: 'configmaps', path }, 'ConfigMap', parseConfigMap, signal);
  }
}
