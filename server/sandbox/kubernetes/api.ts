import type { Now } from '../../core/effects.ts';
import type { Call } from '../journal.ts';
import { type Matches, type ObjectStore, parseFieldSelector } from './object-store.ts';
import type { Kind } from './objects.ts';
import { notFound, Refusal, status } from './status.ts';
import { type BoundObjectRef, parseTokenRequest, type TokenIssuer } from './token-issuer.ts';
import type { Watches } from './watches.ts';

export type ResourceName = 'pods' | 'nodes' | 'serviceaccounts' | 'serviceaccounts/token' | 'openid';

/** What an API path refers to. */
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

/** Undefined if the stand-in has no such path. */
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
  // an object of a namespaced kind has a path only in its namespace
  if (name !== undefined && namespace === undefined) return undefined;
  return { resource, kind: KINDS[resource], namespace, name };
}

/** A request to the stand-in API server, without token values. */
export interface KubernetesCall extends Call {
  /** `other` if the resource is `other`. */
  readonly verb: 'list' | 'watch' | 'get' | 'create' | 'other';
  /** `other`: a path that the stand-in does not have; `name` holds it. */
  readonly resource: ResourceName | 'other';
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Of a watch: the version that it started from. */
  readonly resourceVersion: string | undefined;
  /** Of a token request, once its body has been read. */
  audiences: readonly string[] | undefined;
  expirationSeconds: number | undefined;
  boundObject: BoundObjectRef | undefined;
}

/** What the API server's handlers use. */
interface ApiParts {
  readonly store: ObjectStore;
  readonly watches: Watches;
  readonly issuer: TokenIssuer;
  readonly bearerToken: string | undefined;
  /** The base URL in the discovery document. */
  readonly url: string;
  readonly now: Now;
}

/** Serves one request; what becomes known about it is written into `call`. Throws a {@link Refusal}. */
export async function serveApi(
  parts: ApiParts,
  request: Request,
  route: Route,
  call: KubernetesCall,
): Promise<Response> {
  if (
    parts.bearerToken !== undefined &&
    request.headers.get('authorization') !== `Bearer ${parts.bearerToken}`
  ) {
    throw new Refusal(status(401, 'Unauthorized'));
  }
  if (request.method !== (route.resource === 'serviceaccounts/token' ? 'POST' : 'GET')) {
    throw new Refusal(status(405, 'the server does not allow this method on the requested resource'));
  }
  switch (route.resource) {
    case 'openid':
      return openid(parts, route.document, request);
    case 'serviceaccounts/token':
      return createToken(parts, request, route, call);
    default: {
      if (route.name !== undefined) return getObject(parts.store, route, route.name);
      const parameters = new URL(request.url).searchParams;
      return call.verb === 'watch'
        ? watch(parts.watches, route, parameters)
        : list(parts.store, route, parameters);
    }
  }
}

const MIME_JWKS = 'application/jwk-set+json';

function openid({ issuer, url }: ApiParts, document: 'configuration' | 'jwks', request: Request): Response {
  if (document === 'jwks') {
    const accepted = request.headers.get('accept') ?? '*/*';
    if (![MIME_JWKS, '*/*'].some((type) => accepted.includes(type))) {
      throw new Refusal(status(406, `406: Not Acceptable\n\nAvailable representations: ${MIME_JWKS}`));
    }
    return Response.json(issuer.jwks, { headers: { 'content-type': MIME_JWKS } });
  }
  return Response.json({
    issuer: issuer.issuer,
    jwks_uri: `${url}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  });
}

async function createToken(
  { store, issuer, now }: ApiParts,
  request: Request,
  { namespace, name }: { namespace: string; name: string },
  call: KubernetesCall,
): Promise<Response> {
  const spec = parseTokenRequest(await request.text());
  call.audiences = spec.audiences;
  call.expirationSeconds = spec.expirationSeconds;
  call.boundObject = spec.boundObjectRef;
  return Response.json(await issuer.issue(store, namespace, name, spec, now), { status: 201 });
}

type Collection = Extract<Route, { kind: Kind }>;

function getObject(store: ObjectStore, { kind, resource, namespace }: Collection, name: string): Response {
  const object = store.get(kind, namespace, name);
  if (object === undefined) throw new Refusal(notFound(resource, name));
  return Response.json(object);
}

function list(store: ObjectStore, route: Collection, parameters: URLSearchParams): Response {
  return Response.json({
    kind: `${route.kind}List`,
    apiVersion: 'v1',
    metadata: { resourceVersion: `${store.resourceVersion}` },
    items: store.list(route.kind).filter(selects(route, parameters)),
  });
}

function watch(watches: Watches, route: Collection, parameters: URLSearchParams): Response {
  return watches.open({
    kind: route.kind,
    matches: selects(route, parameters),
    allowBookmarks: parameters.get('allowWatchBookmarks') === 'true',
    resourceVersion: parameters.get('resourceVersion') ?? '',
    timeoutSeconds: Number(parameters.get('timeoutSeconds') ?? 0),
  });
}

function selects({ kind, namespace }: Collection, parameters: URLSearchParams): Matches {
  if (parameters.has('labelSelector'))
    throw new Refusal(status(400, 'the stand-in does not support label selectors'));
  const matches = parseFieldSelector(kind, parameters.get('fieldSelector'));
  return namespace === undefined
    ? matches
    : (object) => object.metadata.namespace === namespace && matches(object);
}
