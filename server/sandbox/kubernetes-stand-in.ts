import type { JSONWebKeySet } from 'jose';
import { type Effects, systemEffects } from '../runtime/effects.ts';
import { FaultSwitch } from './fault-switch.ts';
import { type Call, Journal } from './journal.ts';
import { type Matches, parseFieldSelector } from './kubernetes/field-selector.ts';
import { ObjectStore } from './kubernetes/object-store.ts';
import type { Kind, KubernetesObject, ObjectOfKind } from './kubernetes/objects.ts';
import { parseRoute, type ResourceName, type Route } from './kubernetes/route.ts';
import { notFound, Refusal, status, statusResponse } from './kubernetes/status.ts';
import { type BoundObjectRef, TokenIssuer } from './kubernetes/token-issuer.ts';
import { parseTokenRequest } from './kubernetes/token-request.ts';
import { Watches } from './kubernetes/watches.ts';
import { Listener, RESET } from './listener.ts';

/** A request to the stand-in API server; never a token's value. */
export interface KubernetesCall extends Call {
  readonly verb: 'list' | 'watch' | 'get' | 'create';
  readonly resource: ResourceName;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Of a watch: where it began. */
  readonly resourceVersion: string | undefined;
  /** Of a token request, once its body has been read. */
  audiences: readonly string[] | undefined;
  expirationSeconds: number | undefined;
  boundObject: BoundObjectRef | undefined;
}

export interface StandInKubernetesOptions {
  /** `iss` of the tokens; by default what kubeadm sets. */
  readonly issuer?: string;
  /** Required of every request where set; 401 otherwise. */
  readonly bearerToken?: string;
  readonly hostname?: string;
  /** By default one that the system picks at the first start. */
  readonly port?: number;
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
}

/**
 * As much of a Kubernetes API server as a Node's metadata server meets: list, watch and get of Pods, Nodes and
 * ServiceAccounts, tokens with the real checks, OpenID discovery. It can be slow, faulty, and gone and back.
 */
export class StandInKubernetes {
  readonly journal = new Journal<KubernetesCall>();
  readonly faults: Readonly<Record<ResourceName, FaultSwitch>> = {
    pods: new FaultSwitch(),
    nodes: new FaultSwitch(),
    serviceaccounts: new FaultSwitch(),
    'serviceaccounts/token': new FaultSwitch(),
    openid: new FaultSwitch(),
  };
  readonly issuer: string;
  readonly #options: StandInKubernetesOptions;
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #store = new ObjectStore();
  readonly #watches: Watches;
  readonly #listener: Listener;
  #tokens: TokenIssuer | undefined;

  constructor(options: StandInKubernetesOptions = {}) {
    this.#options = options;
    this.#effects = options.effects ?? systemEffects;
    this.#watches = new Watches(this.#store, this.#effects.sleep);
    this.issuer = options.issuer ?? 'https://kubernetes.default.svc.cluster.local';
    this.#listener = new Listener({
      hostname: options.hostname ?? '127.0.0.1',
      port: options.port ?? 0,
      handle: (request) => this.#handle(request),
    });
  }

  /** Also after {@link stop}: the same address, key and objects. Resolves with itself. */
  async start(): Promise<this> {
    this.#tokens ??= await TokenIssuer.create(this.issuer);
    await this.#listener.start();
    return this;
  }

  /** As when the API server dies: the port is closed and every connection is cut. */
  async stop(): Promise<void> {
    await this.#listener.stop();
    this.#watches.drop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fault of Object.values(this.faults)) fault.heal();
    await this.stop();
  }

  /** Without a trailing slash. */
  get url(): string {
    return this.#listener.url;
  }

  /** The public keys of its tokens, as served at `/openid/v1/jwks`. */
  get jwks(): JSONWebKeySet {
    return this.#issuer.jwks;
  }

  /** Watches that are open now. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** `--service-account-max-token-expiration` in seconds: tokens asked for longer are shortened to it. */
  limitTokenExpiration(seconds: number): void {
    this.#issuer.maxExpirationSeconds = seconds;
  }

  /** Creates or replaces an object; returns it with its resourceVersion. */
  put<O extends KubernetesObject>(object: O): O {
    return this.#store.put(object);
  }

  /** False where there is no such object. */
  delete(object: KubernetesObject): boolean {
    return this.#store.delete(object);
  }

  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): ObjectOfKind[K] | undefined {
    return this.#store.get(kind, namespace, name);
  }

  /** A bookmark to every watch that allows them, as once a minute. */
  sendBookmarks(): void {
    this.#watches.sendBookmarks();
  }

  /** Ends every watch in order, each with a last bookmark where it allows them. */
  endWatches(): void {
    this.#watches.end();
  }

  /** Cuts the connection of every watch. */
  dropConnections(): void {
    this.#watches.drop();
  }

  /**
   * Forgets the history. Whoever watches from before gets 410: as an ERROR event, as the watch cache answers,
   * or as an HTTP status. Watches that are open go on.
   */
  compact(expiredAs: 'event' | 'status' = 'event'): void {
    this.#watches.expiredAs = expiredAs;
    this.#store.compact();
  }

  get #issuer(): TokenIssuer {
    if (this.#tokens === undefined) throw new Error('The stand-in has no key before its first start()');
    return this.#tokens;
  }

  async #handle(request: Request): Promise<Response | typeof RESET> {
    const url = new URL(request.url);
    const route = parseRoute(url.pathname);
    if (route === undefined) {
      return statusResponse(status(404, 'the server could not find the requested resource'));
    }
    const call = this.journal.record(this.#describe(request, route, url.searchParams));
    const fault = this.faults[route.resource];
    const response =
      (await fault.intercept(request, this.#effects.sleep, (code) =>
        statusResponse(status(code, 'the stand-in was told to fail')),
      )) ?? (await this.#answer(request, route, url.searchParams, call).catch(refused));
    if (response !== RESET) this.journal.answered(call, response.status);
    return response;
  }

  #describe(request: Request, route: Route, parameters: URLSearchParams): KubernetesCall {
    const name = route.resource === 'openid' ? undefined : route.name;
    return {
      at: this.#effects.now(),
      verb:
        request.method === 'POST' ? 'create' : isWatch(parameters) ? 'watch' : isList(route) ? 'list' : 'get',
      resource: route.resource,
      namespace: route.resource === 'openid' ? undefined : route.namespace,
      name,
      fieldSelector: parameters.get('fieldSelector') ?? undefined,
      resourceVersion: parameters.get('resourceVersion') ?? undefined,
      audiences: undefined,
      expirationSeconds: undefined,
      boundObject: undefined,
      status: undefined,
    };
  }

  async #answer(
    request: Request,
    route: Route,
    parameters: URLSearchParams,
    call: KubernetesCall,
  ): Promise<Response> {
    const { bearerToken } = this.#options;
    if (bearerToken !== undefined && request.headers.get('authorization') !== `Bearer ${bearerToken}`) {
      throw new Refusal(status(401, 'Unauthorized'));
    }
    if (request.method !== (route.resource === 'serviceaccounts/token' ? 'POST' : 'GET')) {
      throw new Refusal(status(405, 'the server does not allow this method on the requested resource'));
    }
    switch (route.resource) {
      case 'openid':
        return this.#openid(route.document);
      case 'serviceaccounts/token':
        return this.#createToken(request, route, call);
      default:
        if (route.name !== undefined) return this.#getObject(route.kind, route, route.name);
        return isWatch(parameters) ? this.#watch(route, parameters) : this.#list(route, parameters);
    }
  }

  #openid(document: 'configuration' | 'jwks'): Response {
    if (document === 'jwks') {
      return Response.json(this.jwks, { headers: { 'content-type': 'application/jwk-set+json' } });
    }
    return Response.json({
      issuer: this.issuer,
      jwks_uri: `${this.url}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
  }

  async #createToken(
    request: Request,
    { namespace, name }: { namespace: string; name: string },
    call: KubernetesCall,
  ): Promise<Response> {
    const spec = parseTokenRequest(await request.text());
    call.audiences = spec.audiences;
    call.expirationSeconds = spec.expirationSeconds;
    call.boundObject = spec.boundObjectRef;
    const answer = await this.#issuer.create(this.#store, namespace, name, spec, this.#effects.now);
    return Response.json(answer, { status: 201 });
  }

  #getObject(
    kind: Kind,
    { resource, namespace }: { resource: string; namespace: string | undefined },
    name: string,
  ): Response {
    const object = this.#store.get(kind, namespace, name);
    if (object === undefined) throw new Refusal(notFound(resource, name));
    return Response.json(object);
  }

  #list(route: Collection, parameters: URLSearchParams): Response {
    const matches = selects(route, parameters);
    return Response.json({
      kind: `${route.kind}List`,
      apiVersion: 'v1',
      metadata: { resourceVersion: `${this.#store.resourceVersion}` },
      items: this.#store.list(route.kind).filter(matches),
    });
  }

  #watch(route: Collection, parameters: URLSearchParams): Response {
    return this.#watches.open({
      kind: route.kind,
      matches: selects(route, parameters),
      allowBookmarks: parameters.get('allowWatchBookmarks') === 'true',
      resourceVersion: parameters.get('resourceVersion') ?? '',
      timeoutSeconds: Number(parameters.get('timeoutSeconds') ?? 0),
    });
  }
}

type Collection = Extract<Route, { kind: Kind }>;

function isWatch(parameters: URLSearchParams): boolean {
  return ['true', '1'].includes(parameters.get('watch') ?? '');
}

function isList(route: Route): boolean {
  return 'kind' in route && route.name === undefined;
}

function selects({ kind, namespace }: Collection, parameters: URLSearchParams): Matches {
  if (parameters.has('labelSelector')) throw new Refusal(status(400, 'the stand-in has no label selectors'));
  const matches = parseFieldSelector(kind, parameters.get('fieldSelector'));
  return namespace === undefined
    ? matches
    : (object) => object.metadata.namespace === namespace && matches(object);
}

function refused(error: unknown): Response {
  if (error instanceof Refusal) return statusResponse(error.status);
  throw error;
}
