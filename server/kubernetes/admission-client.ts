import { objectPath } from './api-path.ts';
import type { ApiServer } from './api-server.ts';
import type { Field } from './field.ts';
import { getObject } from './get-object.ts';
import type { Node, Pod } from './objects.ts';
import { parseNode, parsePod } from './wire.ts';

/** What the webhook keeps of a Namespace. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Everything the webhook asks of the API server, always live; its RBAC holds nothing more.
 * Each is undefined where there is no such object, and throws `kubernetes-unavailable`, `kubernetes-forbidden`
 * or `object-name-invalid`, the last without a request.
 */
export interface AdmissionClient {
  getPod(namespace: string, name: string, signal?: AbortSignal): Promise<Pod | undefined>;
  getNode(name: string, signal?: AbortSignal): Promise<Node | undefined>;
  getNamespace(name: string, signal?: AbortSignal): Promise<Namespace | undefined>;
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
}

function parseNamespace(namespace: Field): Namespace {
  const metadata = namespace.at('metadata');
  return {
    name: metadata.at('name').text(),
    labels: metadata.at('labels').texts(),
    annotations: metadata.at('annotations').texts(),
  };
}
