import type { AzureTokens } from '../azure/azure-tokens.ts';
import type { Caller, Callers } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import type { ExchangeSettings } from '../google/exchanges.ts';
import { normaliseScopes, type Tokens } from '../google/tokens.ts';
import type { Node } from '../kubernetes/objects.ts';
import type { Log, LogSettings } from '../telemetry/log.ts';
import { RepeatLimit } from '../telemetry/log.ts';
import {
  CONTAINER_CREDENTIALS_PATH,
  ContainerCredentialsApi,
  type ContainerCredentialsDependencies,
} from './aws/container-credentials-api.ts';
import { Ec2Api, type Ec2Dependencies, isEc2Path } from './aws/ec2-api.ts';
import { AzureApi, isAzurePath } from './azure/azure-api.ts';
import { Changes, isTrue, parseWait, type Wait } from './changes.ts';
import { type Account, accountOf, type Instance, type InstanceSettings } from './facts.ts';
import { failureResponse, isRetryable } from './faults.ts';
import { type Again, type ReadyResponse, readyOf, type TokenResponses } from './ready-responses.ts';
import { decodePath, HOST_NAMES } from './request-target.ts';
import {
  type Alt,
  type MetadataResponse,
  renderListing,
  renderRecursively,
  renderValue,
  resolveValue,
} from './response.ts';
import { type Found, find, isOfCaller, type Row, V1 } from './tree.ts';

/** A request of the metadata API, without the server that carries it. */
interface MetadataRequest {
  readonly method: string;
  /** As in the URL: percent-encoded. */
  readonly path: string;
  readonly query: string;
  /** Whether it has the header `Metadata-Flavor: Google`. */
  readonly flavored: boolean;
  /** Whether it has the header X-Forwarded-For. */
  readonly forwarded: boolean;
  /** The value of a header; null without one. */
  header(name: string): string | null;
  /** Its Host, if that is the name of another server. */
  readonly foreignHost: string | undefined;
  /** The socket's peer; undefined if it has disconnected. */
  readonly peer: string | undefined;
  /** Lifts the server's idle timeout from this request; returns a signal that is aborted when its client leaves. */
  hold(): AbortSignal;
}

export interface MetadataDependencies {
  readonly settings: InstanceSettings &
    Pick<ExchangeSettings, 'cacheMaxTokenDurationSeconds'> &
    Pick<LogSettings, 'logLevel'>;
  readonly callers: Callers;
  readonly tokens: Tokens;
  /** Undefined: no Pod has an Azure identity. */
  readonly azureTokens?: Pick<AzureTokens, 'token' | 'cachedToken'> | undefined;
  /** Undefined: no Pod has an AWS role. */
  readonly ec2?: Ec2Dependencies | undefined;
  readonly containerCredentials?: ContainerCredentialsDependencies | undefined;
  /** This Node; undefined until it is known. */
  node(): Node | undefined;
  readonly log: Log;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  /** Aborted when the server begins to shut down. */
  readonly draining: AbortSignal;
}

/** A response, and what the metrics and the log record about it. */
export interface Outcome {
  readonly response: MetadataResponse;
  /** The template of the path; undefined if the tree has no such path. */
  readonly template: string | undefined;
  /** The cause of a refusal. */
  readonly failure?: unknown;
  /** For a success that the same request of {@link caller} can have again. */
  readonly again?: Again | undefined;
  /** Whose response it is; undefined if nobody was identified for it, as it is the same for all. */
  readonly caller?: Caller | undefined;
}

/** Whoever waits from the Node's own addresses, if the Node has no ServiceAccount. */
const OWN_NODE = 'own node';

const NOT_FOUND: MetadataResponse = { status: 404, contentType: 'application/text', body: 'Not Found\n' };
const NO_FLAVOR: MetadataResponse = {
  status: 403,
  contentType: 'text/plain; charset=utf-8',
  body: 'Missing required header "Metadata-Flavor": "Google"',
};
const METHOD_NOT_ALLOWED: MetadataResponse = {
  status: 405,
  contentType: 'application/text',
  body: 'Method Not Allowed\n',
  headers: { Allow: 'GET, HEAD' },
};
const RECURSION_FAILED: MetadataResponse = {
  status: 500,
  contentType: 'application/text',
  body: 'Could not recursively fetch uri\n',
};

/** The metadata API without HTTP: every request gets a response, none throws. */
export class MetadataApi {
  readonly #dependencies: MetadataDependencies;
  readonly #instance: Instance;
  readonly #azure: AzureApi;
  readonly #ec2: Ec2Api | undefined;
  readonly #containerCredentials: ContainerCredentialsApi | undefined;
  readonly #changes: Changes;
  readonly #tokenResponses: TokenResponses;
  readonly #unexpected: RepeatLimit;

  constructor(dependencies: MetadataDependencies, tokenResponses: TokenResponses) {
    const { settings, effects, draining, node, log } = dependencies;
    this.#dependencies = dependencies;
    this.#instance = { settings, node: () => requireNode(node()) };
    this.#azure = new AzureApi(dependencies.azureTokens, effects);
    this.#ec2 = dependencies.ec2 && new Ec2Api(dependencies.ec2, node, effects);
    const { containerCredentials } = dependencies;
    this.#containerCredentials = containerCredentials && new ContainerCredentialsApi(containerCredentials);
    this.#changes = new Changes(effects, draining);
    this.#tokenResponses = tokenResponses;
    this.#unexpected = new RepeatLimit(log, effects.now);
  }

  async respond(request: MetadataRequest): Promise<Outcome> {
    let caller: Caller | undefined;
    const identify = async () => {
      caller = await this.#identify(request.peer);
      return caller;
    };
    const path = decodePath(request.path);
    const found = path === undefined ? undefined : find(path);
    const query = new URLSearchParams(request.query);
    const template = found?.row.path;
    try {
      refuseForeign(request);
      const otherCloud = path === undefined ? undefined : this.#otherCloud(request, path, identify);
      if (otherCloud !== undefined) {
        const outcome = await otherCloud;
        this.#logUnexpected(outcome);
        return { ...outcome, caller };
      }
      const response = await this.#respond(request, path, found, query, identify);
      return { response, template, again: this.#again(request, found, query, caller, response), caller };
    } catch (failure) {
      this.#logUnexpected({ template, failure });
      const failedRecursion = found !== undefined && isRecursive(found.row, query) && !isRetryable(failure);
      if (failedRecursion) return { response: RECURSION_FAILED, template, failure };
      return { response: failureResponse(failure, caller), template, failure };
    }
  }

  /** Values depend on the caller, the Node and the settings alone; tokens on what is cached. */
  #again(
    { method, flavored }: MetadataRequest,
    found: Found | undefined,
    query: URLSearchParams,
    caller: Caller | undefined,
    response: MetadataResponse,
  ): Again | undefined {
    const isOnce = found === undefined || response.status !== 200 || method !== 'GET' || !flavored;
    if (isOnce || parseWait(query) !== undefined) return undefined;
    const { node, tokens } = this.#dependencies;
    const ifFlavored =
      (look: () => ReadyResponse | undefined): Again =>
      (header) =>
        header('metadata-flavor') === 'Google' ? look() : undefined;
    const { kind } = found.row;
    if (kind === 'access-token' && caller !== undefined) {
      const scopes = normaliseScopes(query.getAll('scopes').join(','));
      return ifFlavored(() => {
        const token = tokens.cachedAccessToken(caller, scopes);
        return token && this.#tokenResponses.of(token);
      });
    }
    if (kind === 'identity-token' && caller !== undefined) {
      const audience = query.get('audience') ?? '';
      return ifFlavored(() => {
        const token = tokens.cachedIDToken(caller, audience);
        return token && this.#tokenResponses.ofIDToken(token);
      });
    }
    const [nodeThen, ready] = [node(), readyOf(response)];
    return ifFlavored(() => (node() === nodeThen ? ready : undefined));
  }

  /** Undefined if the path is not another cloud's. */
  #otherCloud(
    { method, query, header }: MetadataRequest,
    path: string,
    identify: () => Promise<Caller>,
  ): Promise<Outcome> | undefined {
    if (isAzurePath(path)) {
      return this.#azure.respond({ method, path, query, metadata: header('metadata') }, identify);
    }
    if (path === CONTAINER_CREDENTIALS_PATH) {
      return this.#containerCredentials?.respond(method, header('authorization'), identify);
    }
    if (this.#ec2 === undefined || !isEc2Path(path)) return undefined;
    const tokenSeconds = header('x-aws-ec2-metadata-token-ttl-seconds');
    return this.#ec2.respond(
      { method, path, tokenSeconds, token: header('x-aws-ec2-metadata-token') },
      identify,
    );
  }

  /** What is not a Fault is a bug. */
  #logUnexpected({ template, failure }: Pick<Outcome, 'template' | 'failure'>): void {
    if (failure === undefined || failure instanceof Fault) return;
    this.#unexpected.error(`${template}`, { error: failure, route: template }, 'unexpected failure');
  }

  #respond(
    request: MetadataRequest,
    path: string | undefined,
    found: Found | undefined,
    query: URLSearchParams,
    identify: () => Promise<Caller>,
  ): MetadataResponse | Promise<MetadataResponse> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return METHOD_NOT_ALLOWED;
    // only `/` responds without it: Go's platform probe does not send the header
    if (!request.flavored && path?.startsWith('/computeMetadata')) return NO_FLAVOR;
    if (found === undefined) return responseOutsideTree(request, path);
    const look = () => this.#look(found, query, identify);
    const wait = request.flavored ? parseWait(query) : undefined;
    return wait === undefined ? look() : this.#wait(request, wait, identify, look);
  }

  /** Waits in the name of the caller, even for values that are the same for all: only callers may wait. */
  async #wait(
    request: MetadataRequest,
    wait: Wait,
    identify: () => Promise<Caller>,
    look: () => Promise<MetadataResponse>,
  ): Promise<MetadataResponse> {
    const holder = await identify().then(
      ({ boundTo }) => boundTo.uid,
      (error: unknown) => {
        if (error instanceof Fault && error.code === 'node-without-service-account') return OWN_NODE;
        throw error;
      },
    );
    return this.#changes.wait(holder, wait, request.hold(), look);
  }

  /** The current value. */
  async #look(
    { row, account: asked }: Found,
    query: URLSearchParams,
    identify: () => Promise<Caller>,
  ): Promise<MetadataResponse> {
    const { settings } = this.#dependencies;
    if (!isOfCaller(row, isRecursive(row, query))) return this.#render(row, undefined, query);
    const caller = await identify();
    if (asked !== undefined && asked !== 'default') {
      const { name, email } = accountOf(caller, settings);
      if (asked !== name && asked !== email) return NOT_FOUND;
    }
    if (row.kind === 'access-token') return this.#accessToken(caller, query);
    if (row.kind === 'identity-token') return this.#identityToken(caller, query);
    if (row.kind === 'of-caller') return renderValue(row.value(caller), altOf(query));
    return this.#render(row, accountOf(caller, settings), query);
  }

  #render(row: Row, account: Account | undefined, query: URLSearchParams): MetadataResponse {
    const alt = altOf(query);
    const view = { instance: this.#instance, account };
    if (row.kind === 'directory') {
      return isRecursive(row, query) ? renderRecursively(row, view, alt) : renderListing(row, view, alt);
    }
    const value = resolveValue(row, view);
    return value === undefined ? NOT_FOUND : renderValue(value, alt);
  }

  async #identify(peer: string | undefined): Promise<Caller> {
    const { callers } = this.#dependencies;
    if (peer !== undefined) return callers.identify(peer);
    throw new Fault('caller-unknown', 'the client has disconnected', { remedy: 'Retry.' });
  }

  async #accessToken(caller: Caller, query: URLSearchParams): Promise<MetadataResponse> {
    const { tokens } = this.#dependencies;
    const scopes = query.getAll('scopes').join(',');
    const token = await tokens.accessToken(caller, scopes);
    const response = this.#tokenResponses.of(token);
    if (response !== undefined) {
      return { status: 200, contentType: 'application/json', body: response.body, etag: response.etag };
    }
    throw new Fault('google-unavailable', 'the access token from Google has already expired', {
      remedy: "Check this Node's clock.",
    });
  }

  async #identityToken(caller: Caller, query: URLSearchParams): Promise<MetadataResponse> {
    const { tokens } = this.#dependencies;
    const audience = query.get('audience') ?? '';
    const token = await tokens.idToken(caller, audience);
    const etag = this.#tokenResponses.etag(token);
    return { status: 200, contentType: 'application/text', body: token.token.reveal(), etag };
  }
}

/** What holds for every path. Throws `caller-forwarded` or `host-foreign`. */
function refuseForeign(request: MetadataRequest): void {
  if (request.forwarded) {
    throw new Fault('caller-forwarded', 'a request with the header X-Forwarded-For was refused', {
      remedy: 'Ask the metadata server directly, not through a proxy.',
    });
  }
  if (request.foreignHost !== undefined) {
    const host = printable(request.foreignHost, 100);
    throw new Fault('host-foreign', `refused a request for the Host '${host}'`, {
      remedy: `Use ${HOST_NAMES.join(', ')} or an IP address.`,
    });
  }
}

/** Only from `/computeMetadata/v1/` down: `/` responds without the flavor header, so it only lists. */
function isRecursive(row: Row, query: URLSearchParams): boolean {
  return row.kind === 'directory' && row.path.startsWith(V1) && isTrue(query.get('recursive'));
}

function altOf(query: URLSearchParams): Alt {
  const alt = query.get('alt');
  return alt === 'json' || alt === 'text' ? alt : undefined;
}

/**
 * A request for a directory without its slash is redirected to it; the path is returned as received, encoded.
 * AWS's SDKs need no special response: after 405 to their PUT and 404 to the next request they move on at once.
 */
function responseOutsideTree(request: MetadataRequest, path: string | undefined): MetadataResponse {
  if (path === undefined) return NOT_FOUND;
  if (find(`${path}/`)?.row.kind !== 'directory') return NOT_FOUND;
  const query = request.query === '' ? '' : `?${request.query}`;
  return {
    status: 301,
    contentType: 'application/text',
    body: '',
    headers: { Location: `${request.path}/${query}` },
  };
}

function requireNode(node: Node | undefined): Node {
  if (node !== undefined) return node;
  throw new Fault('stores-not-in-sync', 'the Node is not known yet', { remedy: 'Retry in a moment.' });
}
