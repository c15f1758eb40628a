import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { AttendedExchanges, type AttendedExchangesDependencies } from '../credentials/attended-exchanges.ts';
import { identityOf } from '../credentials/credential.ts';
import { CredentialCache, keepRefreshed } from '../credentials/credential-cache.ts';
import { type CredentialStatus, credentialStatus } from '../credentials/credential-status.ts';
import { ExchangeSteps } from '../credentials/exchange-steps.ts';
import { KubernetesTokens, SHORTEST_KUBERNETES_TOKEN_SECONDS } from '../credentials/kubernetes-tokens.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import { AzureFault } from './azure-fault.ts';
import {
  AZURE_CLIENT_ID_ANNOTATION,
  azureIdentityOf,
  azureTokenVersion,
  parseClientID,
} from './azure-identity.ts';
import { type AzureToken, Entra } from './entra.ts';

export interface AzureSettings {
  /** Base URL without a trailing slash. */
  readonly authorityHost: string;
  /** Of ServiceAccounts that name none. */
  readonly tenantID: string | undefined;
  /** The audience of the Kubernetes tokens, as federated credentials have it. */
  readonly audience: string;
}

/** What {@link AzureTokens} needs of the settings that all clouds share. */
export interface AzureTokensSettings {
  readonly azure: AzureSettings;
  readonly cacheTokens: boolean;
  readonly cacheTokensPerPod: boolean;
}

interface AzureTokensDependencies extends AttendedExchangesDependencies {
  readonly kubernetes: Pick<KubernetesClient, 'createToken'>;
  readonly effects: Effects;
  readonly events: Pick<DomainEvents, 'exchanged' | 'exchangeThrottled' | 'cacheLookedUp'>;
}

/** What a token is asked for. */
export interface AzureTokenRequest {
  /** Such as `https://vault.azure.net`. */
  readonly resource: string;
  /** The application or managed identity that the client names; undefined for that of the annotation. */
  readonly clientID: string | undefined;
}

/** MSAL refreshes 5 minutes before expiry: what it gets must then be a new token. */
const MINIMUM_LIFE = 5 * 60_000;
const LONGEST_RESOURCE = 2048;

/** Tokens of Microsoft Entra for the callers of this Node. */
export class AzureTokens {
  readonly #attending: AttendedExchanges;
  readonly #steps: ExchangeSteps;
  readonly #kubernetesTokens: KubernetesTokens;
  readonly #entra: Entra;
  readonly #cache: CredentialCache<Caller, AzureToken>;
  readonly #settings: AzureTokensSettings;
  readonly #effects: Effects;

  constructor(settings: AzureTokensSettings, dependencies: AzureTokensDependencies) {
    const { kubernetes, effects, events } = dependencies;
    this.#settings = settings;
    this.#effects = effects;
    this.#attending = new AttendedExchanges({ cloud: 'Entra', identity: azureClientOf }, dependencies);
    this.#steps = new ExchangeSteps(effects, events);
    this.#kubernetesTokens = new KubernetesTokens(kubernetes, effects, this.#steps);
    this.#entra = new Entra(settings.azure.authorityHost, effects);
    this.#cache = new CredentialCache<Caller, AzureToken>(
      {
        kind: 'azure-token',
        minimumLife: MINIMUM_LIFE,
        firstUseCounts: true,
        identify: (caller) => identityOf(caller, azureTokenVersion, settings.cacheTokensPerPod),
        rests: (caller) => this.#attending.rests(caller),
        exchange: (caller, key) =>
          this.#attending.run(caller, () => this.#exchange(caller, key), { last: true }),
        enabled: settings.cacheTokens,
      },
      effects,
      events,
    );
  }

  /**
   * A token: at once if it is cached, else a promise, which rejects with `azure-identity-missing`,
   * `azure-identity-invalid`, `parameter-invalid`, `entra-unavailable`, `entra-refused`, `caller-throttled`,
   * `caller-busy` and the codes of a TokenRequest.
   */
  token(caller: Caller, request: AzureTokenRequest): AzureToken | Promise<AzureToken> {
    return this.#cache.peek(caller, keyOf(request)) ?? this.#newToken(caller, request);
  }

  /** What is cached for this caller, and what last failed. */
  status(caller: Caller): CredentialStatus {
    const kept = [this.#cache.kept(caller)];
    return credentialStatus(kept, this.#attending.lastFailure(caller));
  }

  /** The cached token; undefined if {@link token} would have to wait. */
  cachedToken(caller: Caller, request: AzureTokenRequest): AzureToken | undefined {
    return this.#cache.peek(caller, keyOf(request));
  }

  /** The number of cached tokens and failures. */
  get cacheSize(): number {
    return this.#cache.size;
  }

  /** Refreshes what is due and drops what has expired, once. */
  refreshDue(): Promise<void> {
    return this.#cache.refreshDue();
  }

  /** Keeps the cache fresh until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await keepRefreshed(this, this.#effects, signal);
  }

  async #newToken(caller: Caller, request: AzureTokenRequest): Promise<AzureToken> {
    checkResource(request.resource);
    const { clientID } = request;
    if (clientID !== undefined && parseClientID(clientID) === undefined) {
      throw new Fault('parameter-invalid', `client_id is not a GUID: "${printable(clientID, 100)}"`, {
        remedy: 'Give the client ID of an application or managed identity, or none.',
      });
    }
    azureIdentityOf(caller, this.#settings.azure.tenantID);
    return this.#cache.get(caller, keyOf(request), () => this.#attending.enter(caller));
  }

  async #exchange(caller: Caller, key: string): Promise<AzureToken> {
    const { resource, clientID } = requestOf(key);
    const { audience, tenantID } = this.#settings.azure;
    const annotated = azureIdentityOf(caller, tenantID);
    const identity = clientID === undefined ? annotated : { ...annotated, clientID };
    const deadline = this.#effects.now() + this.#attending.patience();
    const assertion = await this.#kubernetesTokens.request(
      caller,
      audience,
      SHORTEST_KUBERNETES_TOKEN_SECONDS,
      deadline,
    );
    const late = () => new AzureFault('entra-unavailable', {});
    return this.#steps.run('entra', deadline, late, (signal) =>
      this.#entra.exchange(assertion, identity, resource, signal),
    );
  }
}

/** A key of the cache: neither part contains a space. */
function keyOf({ resource, clientID = '' }: AzureTokenRequest): string {
  return `${clientID.toLowerCase()} ${resource}`;
}

function requestOf(key: string): AzureTokenRequest {
  const space = key.indexOf(' ');
  return { clientID: key.slice(0, space) || undefined, resource: key.slice(space + 1) };
}

/** Throws `parameter-invalid`. A space would name several scopes. */
function checkResource(resource: string): void {
  if (/^[!-~]+$/.test(resource) && resource.length <= LONGEST_RESOURCE) return;
  throw new Fault('parameter-invalid', `invalid resource "${printable(resource, 100)}"`, {
    remedy: 'Give the App ID URI of the resource, such as https://vault.azure.net.',
  });
}

/** Who a caller is in Entra, for the log. */
function azureClientOf({ serviceAccount }: Caller): Readonly<Record<string, string>> {
  const clientID = parseClientID((serviceAccount.annotations[AZURE_CLIENT_ID_ANNOTATION] ?? '').trim());
  return clientID === undefined ? {} : { azureClientID: clientID };
}
