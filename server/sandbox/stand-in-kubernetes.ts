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

  /** Publishes one more key, which signs nothing yet: how a rotation begins. Returns its `kid`. */
  addKey(): Promise<string> {
    return this.#issuer.addKey();
  }

  /** Watches that are open now. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** Resolves once the number of open watches is as asked: clients leave and come in their own time. */
  async untilWatches(satisfied: (open: number) => boolean): Promise<void> {
    await this.#watches.until(satisfied);
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
  return statusResponse(status(code, 'the stand-in was told to fail'));
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
