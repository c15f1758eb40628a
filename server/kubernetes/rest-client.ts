import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { listPath, objectPath } from './api-path.ts';
import {
  type ApiCall,
  ApiRefusal,
  type ApiServer,
  type ApiStatus,
  faultOf,
  parseStatus,
} from './api-server.ts';
import {
  type KubernetesClient,
  type KubernetesToken,
  type Listing,
  type Resource,
  ResourceVersionExpired,
  type TokenRequest,
  type Unreadable,
  type WatchEvent,
} from './client.ts';
import { Field } from './field.ts';
import { getObject } from './get-object.ts';
import { jsonLines } from './json-lines.ts';
import type { Node, Pod, ServiceAccount } from './objects.ts';
import {
  parseNode,
  parseOrLeaveOut,
  parsePod,
  parseResourceVersion,
  parseServiceAccount,
  parseToken,
} from './wire.ts';

/** As client-go: the API server ends a watch after 5 to 10 minutes, each at its own time. */
const SHORTEST_WATCH_SECONDS = 300;
/** An object is at most 1.5 MiB in etcd; as JSON, whose escapes are longer, not more than this. */
const LONGEST_EVENT_BYTES = 8 * 1024 * 1024;

/** The Kubernetes API over HTTP: its JSON ends here, what comes out is checked. */
export class RestClient implements KubernetesClient {
  constructor(
    private readonly server: ApiServer,
    private readonly effects: Pick<Effects, 'random'>,
  ) {}

  podsOfNode(nodeName: string): Resource<Pod> {
    return this.#resource('pods', 'spec.nodeName', nodeName, 'Pod', parsePod);
  }

  node(name: string): Resource<Node> {
    return this.#resource('nodes', 'metadata.name', name, 'Node', parseNode);
  }

  async getServiceAccount(
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<ServiceAccount | undefined> {
    const call = { resource: 'serviceaccounts', path: objectPath('serviceaccounts', { namespace, name }) };
    return getObject(this.server, call, 'ServiceAccount', parseServiceAccount, signal);
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
      },
    };
    try {
      return parseToken(new Field(await this.server.json(call, signal), 'TokenRequest'));
    } catch (error) {
      throw error instanceof ApiRefusal ? tokenFault(error, request) : error;
    }
  }

  #resource<T>(
    name: 'pods' | 'nodes',
    field: Parameters<typeof listPath>[1],
    nodeName: string,
    kind: string,
    parse: (object: Field) => T,
  ): Resource<T> {
    const { server } = this;
    const { random } = this.effects;
    const path = (query: Record<string, string>) => listPath(name, field, nodeName, query);
    return {
      // No resourceVersion, that is the newest state: an older one could give an address to the Pod that had it
      // before. API servers answer it from memory since 1.31, narrowed by an index for these two selectors.
      async list(signal) {
        const call: ApiCall = { verb: 'list', resource: name, path: path({}) };
        const listing = new Field(await understood(server.json(call, signal)), `${kind}List`);
        const parsed = listing
          .at('items')
          .items()
          .map((item) => parseOrLeaveOut(item, parse));
        return {
          items: parsed.flatMap((one) => ('read' in one ? [one.read] : [])),
          unreadable: parsed.flatMap((one) => ('unreadable' in one ? [one.unreadable] : [])),
          resourceVersion: parseResourceVersion(listing),
        } satisfies Listing<T>;
      },
      async *watch(resourceVersion, signal) {
        const timeoutSeconds = Math.floor(SHORTEST_WATCH_SECONDS * (1 + random()));
        const query = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: `${timeoutSeconds}` };
        const call: ApiCall = { verb: 'watch', resource: name, path: path({ ...query, resourceVersion }) };
        const body = await understood(server.stream(call, signal));
        try {
          for await (const line of jsonLines(body, LONGEST_EVENT_BYTES)) {
            yield parseEvent(new Field(line, `${kind} event`), call, parse);
          }
        } catch (error) {
          signal.throwIfAborted();
          throw error instanceof Fault || error instanceof ResourceVersionExpired
            ? error
            : broken(name, error);
        }
      },
    };
  }
}

/**
 * An event whose object cannot be read, or whose type is unknown, is one of type UNREADABLE: thrown, it would come
 * again and again. Without its version, a bookmark says nothing, and ends the watch.
 */
function parseEvent<T>(event: Field, call: ApiCall, parse: (object: Field) => T): WatchEvent<T> {
  const type = event.at('type').textIfAny();
  const object = event.at('object');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const parsed = parseOrLeaveOut(object, (readable) => ({
        type,
        object: parse(readable),
        resourceVersion: parseResourceVersion(readable),
      }));
      return 'read' in parsed ? parsed.read : unreadable(object, parsed.unreadable);
    }
    case 'BOOKMARK':
      return { type, resourceVersion: parseResourceVersion(object) };
    case 'ERROR':
      throw understand(new ApiRefusal(call, parseErrorEvent(object)));
    default: {
      const cause = broken(call.resource, new Error('an event of unknown type'));
      return unreadable(object, { uid: undefined, name: '', cause });
    }
  }
}

function unreadable(object: Field, what: Unreadable): WatchEvent<never> {
  const resourceVersion = object.at('metadata').at('resourceVersion').textIfAny();
  return { type: 'UNREADABLE', object: what, resourceVersion };
}

/** The Status of an ERROR event; of another form it says nothing but that something failed. */
function parseErrorEvent(object: Field): ApiStatus {
  try {
    return parseStatus(object, 500);
  } catch {
    return { code: 500, reason: '', message: 'an error of unknown form', kind: '' };
  }
}

async function understood<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof ApiRefusal ? understand(error) : error;
  }
}

function understand(refusal: ApiRefusal): Error {
  if (refusal.status.code !== 410) return faultOf(refusal);
  return new ResourceVersionExpired(refusal.message, { cause: refusal });
}

function broken(resource: string, cause: unknown): Fault {
  return new Fault('kubernetes-unavailable', `the watch of ${resource} broke off`, {
    remedy: 'It is taken up again; check the API server and what stands before it.',
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
    return new Fault('bound-object-gone', `${what} is gone: no token can be bound to it`, {
      remedy: 'Nothing, where it has just ended; else ask again once its successor runs.',
      cause: refusal,
    });
  }
  if (code === 404 && reason === 'NotFound') {
    return new Fault(
      'service-account-missing',
      `there is no ServiceAccount ${namespace}/${serviceAccountName}`,
      {
        remedy: `Create it: kubectl create serviceaccount --namespace ${namespace} ${serviceAccountName}`,
        cause: refusal,
      },
    );
  }
  return faultOf(refusal);
}
