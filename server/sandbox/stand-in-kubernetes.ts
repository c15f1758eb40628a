import type { JSONWebKeySet } from 'jose';
import { type Effects, systemEffects } from '../core/effects.ts';
import { Journal } from './journal.ts';
import {
  type KubernetesCall,
  parseRoute,
  type ResourceName,
  type Route,
  serveApi,
} from './kubernetes/api.ts';
import { ObjectStore } from './kubernetes/object-store.ts';
import type { Kind, KubernetesObject, ObjectOfKind } from './kubernetes/objects.ts';
import { Refusal, status, statusResponse } from './kubernetes/status.ts';
import { TokenIssuer } from './kubernetes/token-issuer.ts';
import { Watches } from './kubernetes/watches.ts';
import { FaultSwitch, Listener, RESET } from './listener.ts';

interface StandInKubernetesOptions {
  /** `iss` of the tokens; by default kubeadm's. */
  readonly issuer?: string;
  /** If set, requests without it get 401. */
  readonly bearerToken?: string;
  readonly hostname?: string;
  /** By default one that the system picks on the first start. */
  readonly port?: number;
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
}

/**
 * The parts of a Kubernetes API server that a metadata server uses: list, watch and get of Pods, Nodes and
 * ServiceAccounts, tokens with the real checks, OpenID discovery. It can be slow, faulty, or stop and come back.
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

  /** May follow {@link stop}, with the same address, key and objects. Resolves with itself. */
  async start(): Promise<this> {
    this.#tokens ??= await TokenIssuer.create(this.issuer);
    await this.#listener.start();
    return this;
  }

  /** Like an API server that dies: closes the port and cuts every connection. */
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

  /** Publishes another key that signs nothing yet, as a rotation begins. Returns its `kid`. */
  addKey(): Promise<string> {
    return this.#issuer.addKey();
  }

  /** A ServiceAccount's token for one audience, as the kubelet would write it into a Pod. No call is recorded. */
  async projectedToken(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    audience: string,
    expirationSeconds = 3600,
  ): Promise<string> {
    const spec = { audiences: [audience], expirationSeconds, boundObjectRef: undefined };
    const { status } = await this.#issuer.issue(this.#store, namespace, name, spec, this.#effects.now);
    return status.token;
  }

  /** The number of open watches. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** Resolves once `satisfied` accepts the number of open watches: clients come and go in their own time. */
  async untilWatches(satisfied: (open: number) => boolean): Promise<void> {
    await this.#watches.until(satisfied);
  }

  /** `--service-account-max-token-expiration` in seconds: longer requests are shortened to it. */
  limitTokenExpiration(seconds: number): void {
    this.#issuer.maxExpirationSeconds = seconds;
  }

  /** Creates or replaces an object; returns it with its resourceVersion. */
  put<O extends KubernetesObject>(object: O): O {
    return this.#store.put(object);
  }

  /** False if there is no such object. */
  delete(object: KubernetesObject): boolean {
    return this.#store.delete(object);
  }

  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): ObjectOfKind[K] | undefined {
    return this.#store.get(kind, namespace, name);
  }

  /** Sends a bookmark to every watch that allows them, as an API server does once a minute. */
  sendBookmarks(): void {
    this.#watches.sendBookmarks();
  }

  /** Ends every watch in an orderly way, with a last bookmark if it allows them. */
  endWatches(): void {
    this.#watches.end();
  }

  /** Cuts the connection of every watch. */
  dropConnections(): void {
    this.#watches.drop();
  }

  /**
   * Forgets the history. A watch from an earlier version gets 410: as an ERROR event, like the watch cache's,
   * or as an HTTP status. Open watches continue.
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
    const route = parseRoute(new URL(request.url).pathname);
    const call = this.journal.record(describe(request, route, this.#effects.now()));
    if (route === undefined) {
      this.journal.answered(call, 404);
      return statusResponse(status(404, 'the server could not find the requested resource'));
    }
    const intercepted = await this.faults[route.resource].intercept(request, this.#effects.sleep, failure);
    if (intercepted === RESET) return RESET;
    const parts = {
      store: this.#store,
      watches: this.#watches,
      issuer: this.#issuer,
      bearerToken: this.#options.bearerToken,
      url: this.url,
      now: this.#effects.now,
    };
    const response = intercepted ?? (await serveApi(parts, request, route, call).catch(refused));
    this.journal.answered(call, response.status);
    return response;
  }
}

function failure(code: number): Response {
  return statusResponse(status(code, 'the stand-in is set to fail'));
}

function describe(request: Request, route: Route | undefined, at: number): KubernetesCall {
  const { pathname, searchParams } = new URL(request.url);
  return {
    at,
    ...describeRoute(request, route, pathname, searchParams),
    fieldSelector: searchParams.get('fieldSelector') ?? undefined,
    resourceVersion: searchParams.get('resourceVersion') ?? undefined,
    audiences: undefined,
    expirationSeconds: undefined,
    boundObject: undefined,
    status: undefined,
  };
}

function describeRoute(
  request: Request,
  route: Route | undefined,
  pathname: string,
  parameters: URLSearchParams,
): Pick<KubernetesCall, 'verb' | 'resource' | 'namespace' | 'name'> {
  if (route === undefined) return { verb: 'other', resource: 'other', namespace: undefined, name: pathname };
  if (route.resource === 'openid') {
    return { verb: 'get', resource: 'openid', namespace: undefined, name: undefined };
  }
  const { resource, namespace, name } = route;
  const verb = request.method === 'POST' ? 'create' : name !== undefined ? 'get' : collectionVerb(parameters);
  return { verb, resource, namespace, name };
}

function collectionVerb(parameters: URLSearchParams): 'list' | 'watch' {
  return ['true', '1'].includes(parameters.get('watch') ?? '') ? 'watch' : 'list';
}

function refused(error: unknown): Response {
  if (error instanceof Refusal) return statusResponse(error.status);
  throw error;
}
