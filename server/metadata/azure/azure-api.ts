import { AzureFault } from '../../azure/azure-fault.ts';
import type { AzureTokens } from '../../azure/azure-tokens.ts';
import type { AzureToken } from '../../azure/entra.ts';
import type { Caller } from '../../caller/caller.ts';
import type { Effects } from '../../core/effects.ts';
import { Fault } from '../../core/fault.ts';
import { failureResponse } from '../faults.ts';
import { type Again, type ReadyResponse, readyOf } from '../ready-responses.ts';
import type { MetadataResponse } from '../response.ts';

/** A request under `/metadata`, whose path is decoded. */
interface AzureRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** The value of its header `Metadata`; null without one. */
  readonly metadata: string | null;
}

/** The response to a request under `/metadata`. */
interface AzureOutcome {
  readonly response: MetadataResponse;
  /** The route in metrics. */
  readonly template: string;
  /** The cause of a refusal. */
  readonly failure?: unknown;
  readonly again?: Again;
}

/** The response for the second that it is valid for. */
interface Kept extends ReadyResponse {
  body: string;
  seconds: number;
}

export const AZURE_TOKEN_PATH = '/metadata/identity/oauth2/token';
/** The parameters that name an identity which only a virtual machine can have. */
const OF_VIRTUAL_MACHINES = ['msi_res_id', 'mi_res_id', 'object_id', 'principal_id'];

// the real service, and Azure's own proxy in front of it, accept the first segment in any case
const SERVED_BY_AZURE = /^\/metadata\/(identity|instance)(\/|$)/i;

/** Whether Azure's metadata service has this path. */
export function isAzurePath(path: string): boolean {
  return SERVED_BY_AZURE.test(path);
}

/**
 * Azure's Instance Metadata Service for the identities of Pods:
 * https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
 *
 * A refusal is 400 with Azure's JSON, on which its SDKs go on to the next credential at once. On 404 they ask six times,
 * for 16 to 24 seconds.
 */
export class AzureApi {
  readonly #kept = new WeakMap<AzureToken, Kept>();

  /** Without tokens no Pod has an identity. */
  constructor(
    private readonly tokens: Pick<AzureTokens, 'token' | 'cachedToken'> | undefined,
    private readonly effects: Pick<Effects, 'now'>,
  ) {}

  /** For a path that {@link isAzurePath}. Never throws. */
  async respond(
    { method, path, query, metadata }: AzureRequest,
    identify: () => Promise<Caller>,
  ): Promise<AzureOutcome> {
    // MSAL for Node.js puts a slash at the end of a path that it makes of AZURE_POD_IDENTITY_AUTHORITY_HOST
    const lower = path.toLowerCase().replace(/\/$/, '');
    const template =
      lower === AZURE_TOKEN_PATH
        ? AZURE_TOKEN_PATH
        : lower.startsWith('/metadata/identity')
          ? '/metadata/identity'
          : '/metadata/instance';
    if (method !== 'GET' && method !== 'HEAD') return { response: METHOD_NOT_ALLOWED, template };
    if (metadata?.toLowerCase() !== 'true') {
      return { response: invalid('Required metadata header not specified'), template };
    }
    if (template === '/metadata/instance')
      return { response: invalid('Instance metadata not found'), template };
    if (template !== AZURE_TOKEN_PATH || this.tokens === undefined) {
      return { response: invalid(IDENTITY_NOT_FOUND), template };
    }
    try {
      return { ...(await this.#token(this.tokens, new URLSearchParams(query), identify)), template };
    } catch (failure) {
      return { response: azureFailureResponse(failure), template, failure };
    }
  }

  async #token(
    tokens: Pick<AzureTokens, 'token' | 'cachedToken'>,
    query: URLSearchParams,
    identify: () => Promise<Caller>,
  ): Promise<Pick<AzureOutcome, 'response' | 'again'>> {
    for (const required of ['api-version', 'resource']) {
      if ((query.get(required) ?? '') === '')
        return { response: invalid(`Required query variable '${required}' is missing`) };
    }
    if (OF_VIRTUAL_MACHINES.some((name) => query.has(name))) {
      return {
        response: invalid(
          `${IDENTITY_NOT_FOUND}: a Pod's identity is named by client_id, or by its ServiceAccount`,
        ),
      };
    }
    const caller = await identify();
    const asked = { resource: query.get('resource') ?? '', clientID: query.get('client_id') || undefined };
    const token = await tokens.token(caller, asked);
    const again: Again = (header) => {
      if (header('metadata')?.toLowerCase() !== 'true') return undefined;
      const cached = tokens.cachedToken(caller, asked);
      return cached && this.#readyOf(cached);
    };
    const body = this.#readyOf(token)?.body;
    if (body !== undefined) return { response: { status: 200, contentType: CONTENT_TYPE, body }, again };
    throw new AzureFault('entra-unavailable', { description: 'the access token has expired already' });
  }

  /** All values are strings, as SDKs expect. Undefined if less than a second is left. */
  #readyOf(token: AzureToken): ReadyResponse | undefined {
    const seconds = Math.floor((token.expiresAt - this.effects.now()) / 1000);
    if (seconds < 1) return undefined;
    const known = this.#kept.get(token);
    if (known?.seconds === seconds) return known;
    const body = JSON.stringify({
      access_token: token.token.reveal(),
      client_id: token.clientID,
      expires_in: String(seconds),
      expires_on: String(Math.floor(token.expiresAt / 1000)),
      ext_expires_in: String(seconds),
      not_before: String(Math.floor(token.issuedAt / 1000)),
      resource: token.resource,
      token_type: 'Bearer',
    });
    if (known === undefined) {
      const made = { ...readyOf({ contentType: CONTENT_TYPE, body }), seconds };
      this.#kept.set(token, made);
      return made;
    }
    known.body = body;
    known.seconds = seconds;
    return known;
  }
}

const CONTENT_TYPE = 'application/json; charset=utf-8';

const METHOD_NOT_ALLOWED: MetadataResponse = {
  status: 405,
  contentType: 'application/text',
  body: 'Method Not Allowed\n',
  headers: { Allow: 'GET, HEAD' },
};

const IDENTITY_NOT_FOUND = 'Identity not found';

function invalid(error_description: string): MetadataResponse {
  return refusal('invalid_request', error_description);
}

function refusal(error: string, error_description: string): MetadataResponse {
  return { status: 400, contentType: 'application/json', body: JSON.stringify({ error, error_description }) };
}

/** A failure that a retry may overcome is 503 with Retry-After, any other 400. */
function azureFailureResponse(error: unknown): MetadataResponse {
  if (error instanceof AzureFault) {
    if (!error.transient)
      return refusal(error.error || 'invalid_request', error.description || error.message);
    return unavailable('Microsoft Entra does not respond; try again.', { 'Retry-After': '5' });
  }
  if (error instanceof Fault) {
    switch (error.code) {
      case 'azure-identity-missing':
      case 'azure-identity-invalid':
        return invalid(`${IDENTITY_NOT_FOUND}: ${error.message}`);
      case 'parameter-invalid':
        return invalid(error.message);
      default: // what can happen to a caller of any cloud
    }
  }
  const { status, body, headers } = failureResponse(error, undefined);
  const text = body.trim();
  if (status === 503) return unavailable(text, headers);
  if (status < 500) return invalid(`${IDENTITY_NOT_FOUND}: ${text}`);
  return {
    status,
    contentType: 'application/json',
    body: JSON.stringify({ error: 'server_error', error_description: text }),
  };
}

function unavailable(
  error_description: string,
  headers: Readonly<Record<string, string>> = {},
): MetadataResponse {
  const body = JSON.stringify({ error: 'temporarily_unavailable', error_description });
  return { status: 503, contentType: 'application/json', body, headers };
}
