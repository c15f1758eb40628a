import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { ExchangeSteps, PATIENCE } from '../credentials/exchange-steps.ts';
import { KubernetesTokens, SHORTEST_KUBERNETES_TOKEN_SECONDS } from '../credentials/kubernetes-tokens.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { DomainEvents, ExchangeKind } from '../telemetry/events.ts';
import type { Impersonation } from './google-account.ts';
import { GoogleFault } from './google-fault.ts';
import { IamCredentials } from './iam-credentials.ts';
import { Sts } from './sts.ts';
import type { ExpiringToken } from './tokens.ts';
import type { WorkloadIdentityProvider } from './workload-identity-provider.ts';

export interface ExchangeSettings {
  readonly workloadIdentityProvider: WorkloadIdentityProvider;
  /** Longest `expires_in` ever handed out, and the lifetime asked of Google; 600 to 43,200. */
  readonly cacheMaxTokenDurationSeconds: number;
  /** Base URLs without a trailing slash. */
  readonly googleStsEndpoint: string;
  readonly googleIamCredentialsEndpoint: string;
}

/** Called with each step of an exchange as it begins: `explain` records them. Must handle the step's rejection. */
export type StepObserver = (kind: ExchangeKind, step: Promise<ExpiringToken>) => void;

/** Google's longest lifetime of a federated token. */
const LONGEST_SECONDS = 3600;
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

/** The steps from a ServiceAccount to a Google token: each is counted, timed, and retried after transient failures. */
export class Exchanges {
  readonly #settings: ExchangeSettings;
  readonly #kubernetesTokens: KubernetesTokens;
  readonly #sts: Sts;
  readonly #iam: IamCredentials;
  readonly #effects: Effects;
  readonly #steps: ExchangeSteps;

  constructor(
    settings: ExchangeSettings,
    kubernetes: Pick<KubernetesClient, 'createToken'>,
    effects: Effects,
    events: Pick<DomainEvents, 'exchanged'>,
    /** How long the steps of an exchange are retried, milliseconds. */
    private readonly patience: () => number = () => PATIENCE,
    private readonly observe?: StepObserver,
  ) {
    this.#settings = settings;
    this.#sts = new Sts(settings.googleStsEndpoint, settings.workloadIdentityProvider.audience, effects);
    this.#iam = new IamCredentials(settings.googleIamCredentialsEndpoint, effects);
    this.#effects = effects;
    this.#steps = new ExchangeSteps(effects, events);
    this.#kubernetesTokens = new KubernetesTokens(kubernetes, effects, this.#steps);
  }

  /** When to stop retrying the steps of an exchange that begins now, milliseconds since the epoch. */
  deadline(): number {
    return this.#effects.now() + this.patience();
  }

  /** A federated token that is used only to request tokens of a Google account: as short-lived as possible. */
  federatedToken(caller: Caller): Promise<ExpiringToken> {
    return this.#federate(caller, CLOUD_PLATFORM, SHORTEST_KUBERNETES_TOKEN_SECONDS);
  }

  /**
   * A federated token that the caller itself receives, for direct resource access. It expires no later than the
   * Kubernetes token it is exchanged for, so that one is requested with a long lifetime.
   */
  async directAccessToken(caller: Caller, scopes: string): Promise<ExpiringToken> {
    const longest = this.#settings.cacheMaxTokenDurationSeconds;
    const askedAt = this.#effects.now();
    const token = await this.#federate(caller, scopes, Math.min(longest, LONGEST_SECONDS));
    return { ...token, expiresAt: Math.min(token.expiresAt, askedAt + longest * 1000) };
  }

  /** An access token of the account; `scopes` is separated by spaces. */
  accessToken(
    federated: ExpiringToken,
    impersonation: Impersonation,
    scopes: string,
    deadline: number,
  ): Promise<ExpiringToken> {
    const seconds = this.#settings.cacheMaxTokenDurationSeconds;
    return this.#step('access-token', deadline, (signal) =>
      this.#iam.generateAccessToken(federated.token, impersonation, scopes.split(' '), seconds, signal),
    );
  }

  /** An ID token of the account, asked for by `bearer`: a federated identity or the account itself. */
  idToken(
    bearer: ExpiringToken,
    impersonation: Impersonation,
    audience: string,
    deadline: number,
  ): Promise<ExpiringToken> {
    return this.#step('id-token', deadline, (signal) =>
      this.#iam.generateIdToken(bearer.token, impersonation, audience, signal),
    );
  }

  async #federate(caller: Caller, scopes: string, expirationSeconds: number): Promise<ExpiringToken> {
    const deadline = this.deadline();
    const { audience } = this.#settings.workloadIdentityProvider;
    const subject = await this.#observed(
      'token-request',
      this.#kubernetesTokens.request(caller, audience, expirationSeconds, deadline),
    );
    return this.#step('sts', deadline, (signal) => this.#sts.exchange(subject, scopes, signal));
  }

  #step(
    kind: keyof typeof OPERATIONS,
    deadline: number,
    attempt: (signal: AbortSignal) => Promise<ExpiringToken>,
  ): Promise<ExpiringToken> {
    const late = () => new GoogleFault('google-unavailable', { operation: OPERATIONS[kind] });
    return this.#observed(kind, this.#steps.run(kind, deadline, late, attempt));
  }

  #observed<T extends ExpiringToken>(kind: ExchangeKind, step: Promise<T>): Promise<T> {
    this.observe?.(kind, step);
    return step;
  }
}

const OPERATIONS = {
  sts: 'federated token',
  'access-token': 'access token',
  'id-token': 'identity token',
} as const;
