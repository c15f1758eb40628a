import { type Effects, systemEffects } from '../core/effects.ts';
import { Directory } from './azure/directory.ts';
import { EntraRefusal, errorResponse } from './azure/error.ts';
import { type EntraToken, TokenEndpoint } from './azure/token-endpoint.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { type Call, Journal } from './journal.ts';
import { FaultSwitch, Listener, RESET, type TlsIdentity } from './listener.ts';

/** A request to the stand-in Entra, without assertions and tokens. */
interface EntraCall extends Call {
  /** `other`: a path that the stand-in does not have. */
  readonly operation: Operation | 'other';
  /** As in the path; undefined if it names none. */
  readonly tenant: string | undefined;
  /** Of token requests. */
  readonly clientID: string | undefined;
  readonly scope: string | undefined;
  /** The number after `AADSTS`, if it was refused. */
  code: number | undefined;
}

interface StandInEntraOptions {
  readonly hostname?: string;
  /** By default one that the system picks on the first start. */
  readonly port?: number;
  /** By default it speaks plain http, which Azure's own clients refuse. */
  readonly tls?: TlsIdentity | undefined;
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
}

type Operation = 'token' | 'openid-configuration' | 'instance discovery' | 'keys';

const PATHS: readonly (readonly [RegExp, Operation])[] = [
  [/^\/common\/discovery\/instance$/, 'instance discovery'],
  [/^\/(?<tenant>[^/]+)\/oauth2\/v2\.0\/token$/, 'token'],
  [/^\/(?<tenant>[^/]+)\/v2\.0\/\.well-known\/openid-configuration$/, 'openid-configuration'],
  [/^\/(?<tenant>[^/]+)\/discovery\/v2\.0\/keys$/, 'keys'],
];

/** The parts of Microsoft Entra ID that exchange a cluster's token, and those by which clients find them. */
export class StandInEntra {
  readonly journal = new Journal<EntraCall>();
  readonly faults = { token: new FaultSwitch() };
  readonly directory = new Directory();
  /** The keys that Entra finds at the issuers of assertions. */
  readonly issuers = new IssuerKeys();
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #listener: Listener;
  readonly #endpoint: TokenEndpoint;

  constructor(options: StandInEntraOptions = {}) {
    this.#effects = options.effects ?? systemEffects;
    this.#endpoint = new TokenEndpoint(this.directory, this.issuers, this.#effects.now);
    this.#listener = new Listener({
      hostname: options.hostname ?? '127.0.0.1',
      port: options.port ?? 0,
      tls: options.tls,
      handle: (request) => this.#handle(request),
    });
  }

  /** May follow {@link stop}, with the same address and key. Resolves with itself. */
  async start(): Promise<this> {
    await this.#listener.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.#listener.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.faults.token.heal();
    await this.stop();
  }

  /** What `AZURE_AUTHORITY_HOST` is set to, without a trailing slash. */
  get url(): string {
    return this.#listener.url;
  }

  /** Of access tokens, by the kind of identity. */
  get lifetimeSeconds(): TokenEndpoint['lifetimeSeconds'] {
    return this.#endpoint.lifetimeSeconds;
  }

  /** What tokens can be for. */
  get resources(): Set<string> {
    return this.#endpoint.resources;
  }

  /** Whose access token it is; undefined if this Entra has not issued it, or if it has expired. */
  describe(accessToken: string): Promise<EntraToken | undefined> {
    return this.#endpoint.describe(accessToken);
  }

  async #handle(request: Request): Promise<Response | typeof RESET> {
    const url = new URL(request.url);
    const { operation, tenant } = parsePath(url.pathname);
    const form = new URLSearchParams(operation === 'token' ? await request.text() : '');
    const call = this.journal.record({
      at: this.#effects.now(),
      operation,
      tenant,
      clientID: form.get('client_id') ?? undefined,
      scope: form.get('scope') ?? undefined,
      code: undefined,
      status: undefined,
    });
    if (operation === 'other') {
      this.journal.answered(call, 404);
      return new Response(null, { status: 404 });
    }
    const correlationID = request.headers.get('client-request-id') ?? crypto.randomUUID();
    const refuse = (error: unknown) => {
      if (!(error instanceof EntraRefusal)) throw error;
      call.code = error.code;
      return errorResponse(error, correlationID, this.#effects.now);
    };
    const intercepted =
      operation === 'token'
        ? await this.faults.token.intercept(request, this.#effects.sleep, (status) => refuse(outage(status)))
        : undefined;
    if (intercepted === RESET) return RESET;
    const response =
      intercepted ??
      (await this.#serve(request, operation, tenant ?? '', form).then((body) => Response.json(body), refuse));
    this.journal.answered(call, response.status);
    return response;
  }

  async #serve(
    request: Request,
    operation: Operation,
    tenant: string,
    form: URLSearchParams,
  ): Promise<object> {
    const { protocol, searchParams } = new URL(request.url);
    // whatever name the client knows it by
    const host = request.headers.get('host') ?? '';
    switch (operation) {
      case 'token':
        if (request.method !== 'POST') throw onlyPost(request.method);
        return this.#endpoint.issue(tenant, form);
      case 'openid-configuration':
        return discoveryDocument(`${protocol}//${host}`, this.directory.tenant(tenant).id);
      case 'instance discovery':
        return instance(host, searchParams.get('authorization_endpoint') ?? '');
      case 'keys':
        return this.#endpoint.jwks();
    }
  }
}

function parsePath(pathname: string): { operation: EntraCall['operation']; tenant: string | undefined } {
  for (const [path, operation] of PATHS) {
    const match = path.exec(pathname);
    const { tenant } = match?.groups ?? {};
    if (match !== null) return { operation, tenant };
  }
  return { operation: 'other', tenant: undefined };
}

function discoveryDocument(base: string, tenantID: string) {
  return {
    token_endpoint: `${base}/${tenantID}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${base}/${tenantID}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${base}/${tenantID}/v2.0`,
    authorization_endpoint: `${base}/${tenantID}/oauth2/v2.0/authorize`,
    tenant_region_scope: 'EU',
    cloud_instance_name: 'microsoftonline.com',
  };
}

/** How MSAL asks whether an authority is Microsoft's; here the only one is the name that the stand-in is asked by. */
function instance(host: string, authorizationEndpoint: string) {
  const endpoint = URL.parse(authorizationEndpoint);
  const tenant = endpoint?.pathname.split('/')[1];
  if (endpoint === null || endpoint.host !== host || tenant === undefined) {
    throw new EntraRefusal(50049, 'invalid_instance', 'Unknown or invalid instance.');
  }
  return {
    tenant_discovery_endpoint: `${endpoint.origin}/${tenant}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  };
}

function onlyPost(method: string): EntraRefusal {
  return new EntraRefusal(
    900561,
    'invalid_request',
    `The endpoint only accepts POST requests. Received a ${method} request.`,
  );
}

function outage(status: number): EntraRefusal {
  return new EntraRefusal(
    90033,
    'temporarily_unavailable',
    'A transient error has occurred. Please try again.',
    status,
  );
}
