import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { AttendedExchanges, type AttendedExchangesDependencies } from '../credentials/attended-exchanges.ts';
import { identityOf } from '../credentials/credential.ts';
import { CredentialCache, keepRefreshed } from '../credentials/credential-cache.ts';
import { type CredentialStatus, credentialStatus } from '../credentials/credential-status.ts';
import { isTransient } from '../credentials/failure.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import type { CachedKind, DomainEvents } from '../telemetry/events.ts';
import { type ExchangeSettings, Exchanges, type StepObserver } from './exchanges.ts';
import {
  impersonationOf,
  readGoogleAccount,
  requiredImpersonationOf,
  tokenVersion,
} from './google-account.ts';
import { GoogleFault } from './google-fault.ts';
import { DEFAULT_SCOPES, type ExpiringToken, normaliseScopes, type Tokens } from './tokens.ts';

export interface GoogleTokensSettings extends ExchangeSettings {
  readonly cacheTokens: boolean;
  /** Keep tokens by Pod, not by ServiceAccount: for attribute conditions on the Pod's claims. */
  readonly cacheTokensPerPod: boolean;
}

interface GoogleTokensDependencies extends AttendedExchangesDependencies {
  readonly kubernetes: Pick<KubernetesClient, 'createToken'>;
  readonly effects: Effects;
  readonly events: Pick<DomainEvents, 'exchanged' | 'exchangeThrottled' | 'cacheLookedUp'>;
  readonly observe?: StepObserver;
}

const MINUTE = 60_000;
/** One federated token serves every account token of an identity, so it needs no key of its own. */
const FEDERATED = '';
const LONGEST_AUDIENCE = 2048;
/** How long the second way to an ID token is tried first after it worked when the first was refused. */
const WAY_MEMORY = 60 * MINUTE;

/**
 * Google tokens for the callers of this Node. The minimum remaining life of each kind, and why:
 * - federated, 1 minute: it only has to outlive the call that it is used for;
 * - access, 5 minutes: client libraries ask again up to 4 minutes before expiry, and must then get a new token.
 *   They do so for as long as they run, so one use is enough for the token to be refreshed once;
 * - ID, 55 minutes of the 60 that Google gives: Go's idtoken package assumes that lifetime and never reads
 *   `exp`. Such a token may be handed out for 5 minutes only. Refreshing every one forever would cost 13 calls
 *   an hour for each audience, so only a token that is used again after it was fetched is refreshed.
 */
export class GoogleTokens implements Tokens {
  readonly #exchanges: Exchanges;
  readonly #attending: AttendedExchanges;
  readonly #federated: CredentialCache<Caller, ExpiringToken>;
  readonly #access: CredentialCache<Caller, ExpiringToken>;
  readonly #id: CredentialCache<Caller, ExpiringToken>;
  readonly #dependencies: GoogleTokensDependencies;
  /** Until when the account itself is tried first to get ID tokens. */
  readonly #byItselfUntil = new WeakMap<ServiceAccount, number>();

  constructor(settings: GoogleTokensSettings, dependencies: GoogleTokensDependencies) {
    const { kubernetes, effects, events, observe } = dependencies;
    this.#dependencies = dependencies;
    this.#attending = new AttendedExchanges({ cloud: 'Google', identity: googleIdentity }, dependencies);
    const patience = () => this.#attending.patience();
    this.#exchanges = new Exchanges(settings, kubernetes, effects, events, patience, observe);
    const cache = (
      kind: CachedKind,
      minimumLife: number,
      firstUseCounts: boolean,
      exchangeFor: (caller: Caller, key: string) => Promise<ExpiringToken>,
    ) => {
      const exchange = (caller: Caller, key: string) =>
        this.#attended(caller, kind, () => exchangeFor(caller, key));
      const identify = (caller: Caller) => identityOf(caller, tokenVersion, settings.cacheTokensPerPod);
      const options = {
        kind,
        minimumLife,
        firstUseCounts,
        identify,
        rests: (caller: Caller) => this.#attending.rests(caller),
        exchange,
        enabled: settings.cacheTokens,
      };
      return new CredentialCache<Caller, ExpiringToken>(options, effects, events);
    };
    this.#federated = cache('federated-token', MINUTE, false, (caller) =>
      this.#exchanges.federatedToken(caller),
    );
    this.#access = cache('access-token', 5 * MINUTE, true, (caller, scopes) =>
      this.#exchangeAccessToken(caller, scopes),
    );
    this.#id = cache('id-token', 55 * MINUTE, false, (caller, audience) =>
      this.#exchangeIdToken(caller, audience),
    );
  }

  cachedAccessToken(caller: Caller, scopes = DEFAULT_SCOPES): ExpiringToken | undefined {
    return this.#access.peek(caller, scopes);
  }

  cachedIDToken(caller: Caller, audience: string): ExpiringToken | undefined {
    return this.#id.peek(caller, audience);
  }

  accessToken(caller: Caller, scopes: string): ExpiringToken | Promise<ExpiringToken> {
    const key = normaliseScopes(scopes);
    if (key === undefined) return Promise.reject(invalidScopes(scopes));
    return this.#access.peek(caller, key) ?? this.#newAccessToken(caller, key);
  }

  idToken(caller: Caller, audience: string): ExpiringToken | Promise<ExpiringToken> {
    return this.#id.peek(caller, audience) ?? this.#newIdToken(caller, audience);
  }

  /** What is cached for this caller, and what last failed. */
  status(caller: Caller): CredentialStatus {
    const kept = [this.#federated, this.#access, this.#id].map((cache) => cache.kept(caller));
    return credentialStatus(kept, this.#attending.lastFailure(caller));
  }

  /** The number of cached tokens and failures. */
  get cacheSize(): number {
    return this.#federated.size + this.#access.size + this.#id.size;
  }

  /** Refreshes what is due and drops what has expired, once. */
  async refreshDue(): Promise<void> {
    await Promise.all([this.#federated.refreshDue(), this.#access.refreshDue(), this.#id.refreshDue()]);
  }

  /** Keeps the caches fresh until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await keepRefreshed(this, this.#dependencies.effects, signal);
  }

  async #newAccessToken(caller: Caller, scopes: string): Promise<ExpiringToken> {
    impersonationOf(caller);
    return this.#access.get(caller, scopes, () => this.#attending.enter(caller));
  }

  async #newIdToken(caller: Caller, audience: string): Promise<ExpiringToken> {
    checkAudience(audience);
    requiredImpersonationOf(caller);
    return this.#id.get(caller, audience, () => this.#attending.enter(caller));
  }

  async #exchangeAccessToken(caller: Caller, scopes: string): Promise<ExpiringToken> {
    const impersonation = impersonationOf(caller);
    if (impersonation === undefined) return this.#exchanges.directAccessToken(caller, scopes);
    const deadline = this.#exchanges.deadline();
    const federated = await this.#federated.get(caller, FEDERATED);
    return this.#exchanges.accessToken(federated, impersonation, scopes, deadline);
  }

  /**
   * In one hop if the federated identity may call generateIdToken; otherwise the account calls it for itself, which
   * takes its access token first. If both are refused, the first refusal is the one to report.
   */
  async #exchangeIdToken(caller: Caller, audience: string): Promise<ExpiringToken> {
    const { now } = this.#dependencies.effects;
    const { serviceAccount } = caller;
    const impersonation = requiredImpersonationOf(caller);
    const deadline = this.#exchanges.deadline();
    const inOneHop = async () => {
      const federated = await this.#federated.get(caller, FEDERATED);
      return this.#exchanges.idToken(federated, impersonation, audience, deadline);
    };
    const byItself = async () => {
      const itself = await this.#access.get(caller, DEFAULT_SCOPES);
      return this.#exchanges.idToken(itself, impersonation, audience, deadline);
    };
    const byItselfFirst = now() < (this.#byItselfUntil.get(serviceAccount) ?? 0);
    const [first, second] = byItselfFirst ? [byItself, inOneHop] : [inOneHop, byItself];
    try {
      return await first();
    } catch (refusal) {
      if (!(refusal instanceof Fault) || refusal.code !== 'iam-permission-denied') throw refusal;
      const token = await second().catch((error: unknown) => {
        throw isTransient(error) ? error : refusal;
      });
      this.#byItselfUntil.set(serviceAccount, byItselfFirst ? 0 : now() + WAY_MEMORY);
      return token;
    }
  }

  /** Runs the exchange, and forgets a federated token that Google considers invalid, whatever its lifetime. */
  async #attended(
    caller: Caller,
    kind: CachedKind,
    exchange: () => Promise<ExpiringToken>,
  ): Promise<ExpiringToken> {
    try {
      // a federated token is only half the way
      return await this.#attending.run(caller, exchange, { last: kind !== 'federated-token' });
    } catch (error) {
      if (error instanceof GoogleFault && !error.transient && error.status === 401) {
        this.#federated.forget(caller, FEDERATED);
      }
      throw error;
    }
  }
}

/** Who a caller is at Google, for the log. */
function googleIdentity({ serviceAccount }: Caller): Readonly<Record<string, string>> {
  const account = readGoogleAccount(serviceAccount);
  return account.kind === 'account' ? { googleAccount: account.email } : {};
}

function invalidScopes(scopes: string): Fault {
  return new Fault('parameter-invalid', `invalid scopes "${printable(scopes, 100)}"`, {
    remedy: 'Give up to 32 OAuth scopes of at most 256 characters, separated by commas or spaces.',
  });
}

/** Throws `audience-missing` or `parameter-invalid`. */
function checkAudience(audience: string): void {
  if (audience === '') {
    throw new Fault('audience-missing', 'an ID token needs a non-empty audience', {
      remedy: 'Add ?audience=… with the value that the receiver expects in the aud claim.',
    });
  }
  if (audience.length > LONGEST_AUDIENCE || /\p{Cc}/u.test(audience)) {
    throw new Fault('parameter-invalid', `invalid audience "${printable(audience, 100)}"`, {
      remedy: `Give at most ${LONGEST_AUDIENCE} printable characters.`,
    });
  }
}
