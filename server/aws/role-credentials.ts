import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import type { Secret } from '../core/secret.ts';
import { AttendedExchanges, type AttendedExchangesDependencies } from '../credentials/attended-exchanges.ts';
import { identityOf } from '../credentials/credential.ts';
import { CredentialCache, keepRefreshed } from '../credentials/credential-cache.ts';
import { type CredentialStatus, credentialStatus } from '../credentials/credential-status.ts';
import { ExchangeSteps } from '../credentials/exchange-steps.ts';
import { KubernetesTokens, SHORTEST_KUBERNETES_TOKEN_SECONDS } from '../credentials/kubernetes-tokens.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import { AwsFault, type StsAction } from './aws-fault.ts';
import { type AwsIdentity, awsCredentialsVersion, awsIdentityOf, effectiveRole } from './aws-identity.ts';
import { type RoleArn, sessionName } from './aws-role.ts';
import { type AwsCredentials, Sts, type StsEndpoint } from './sts.ts';

export interface AwsSettings {
  readonly sts: StsEndpoint;
  /** Undefined: none is reported to Pods. */
  readonly region: string | undefined;
  /** The audience of the Kubernetes tokens, as IAM OIDC providers have it. */
  readonly audience: string;
  /** The account of roles that are annotated by their name alone, which are invalid if it is undefined. */
  readonly accountID: string | undefined;
  readonly partition: string;
  /** Of the tokens that Pods send for container credentials, as the webhook mounts them. */
  readonly podIdentityAudience: string;
  /** Whether requests without a session token are answered: version 1 of EC2's metadata service. */
  readonly allowVersion1: boolean;
  /** The lifetime that is asked of STS, 900 to 43,200. */
  readonly sessionSeconds: number;
}

/** What {@link RoleCredentials} needs of the settings that all clouds share. */
export interface RoleCredentialsSettings {
  readonly aws: AwsSettings;
  readonly cacheTokens: boolean;
  readonly cacheTokensPerPod: boolean;
}

interface RoleCredentialsDependencies extends AttendedExchangesDependencies {
  readonly kubernetes: Pick<KubernetesClient, 'createToken'>;
  readonly effects: Effects;
  readonly events: Pick<DomainEvents, 'exchanged' | 'exchangeThrottled' | 'cacheLookedUp'>;
  /** The ID token of the caller's Google account. */
  readonly googleIDToken: (caller: Caller, audience: string) => Promise<{ readonly token: Secret }>;
}

/** As token-injector asks for, so that the same trust policies hold. */
const GOOGLE_AUDIENCE = 'token-injector/sts/assume-role-with-web-identity';
/**
 * SDKs refresh up to 15 minutes before expiry, and what they get must then be new. botocore takes credentials that have
 * less than 20 minutes left for those of a metadata service that fails, and postpones their expiry to as long as 20
 * minutes from now: it asks again within 10 minutes, until when they must last.
 */
const MINIMUM_LIFE = 21 * 60_000;
/** Of short sessions, what is cached at all. */
const SHORTEST_USE = 4 * 60_000;
/** STS gives a role that another assumes no longer. */
const LONGEST_CHAINED_SECONDS = 3600;
const ONLY = '';

/** Credentials of IAM roles for the callers of this Node. */
export class RoleCredentials {
  readonly #attending: AttendedExchanges;
  readonly #steps: ExchangeSteps;
  readonly #kubernetesTokens: KubernetesTokens;
  readonly #sts: Sts;
  readonly #cache: CredentialCache<Caller, AwsCredentials>;
  readonly #settings: AwsSettings;
  readonly #dependencies: RoleCredentialsDependencies;

  constructor(
    { aws, cacheTokens, cacheTokensPerPod }: RoleCredentialsSettings,
    dependencies: RoleCredentialsDependencies,
  ) {
    const { kubernetes, effects, events } = dependencies;
    this.#settings = aws;
    this.#dependencies = dependencies;
    const identity = (caller: Caller) => awsRoleOf(caller, aws);
    this.#attending = new AttendedExchanges({ cloud: 'AWS STS', identity }, dependencies);
    this.#steps = new ExchangeSteps(effects, events);
    this.#kubernetesTokens = new KubernetesTokens(kubernetes, effects, this.#steps);
    this.#sts = new Sts(aws.sts, effects);
    this.#cache = new CredentialCache<Caller, AwsCredentials>(
      {
        kind: 'aws-credentials',
        minimumLife: Math.min(MINIMUM_LIFE, aws.sessionSeconds * 1000 - SHORTEST_USE),
        firstUseCounts: true,
        identify: (caller) => identityOf(caller, awsCredentialsVersion, cacheTokensPerPod),
        rests: (caller) => this.#attending.rests(caller),
        exchange: (caller) => this.#attending.run(caller, () => this.#exchange(caller), { last: true }),
        enabled: cacheTokens,
      },
      effects,
      events,
    );
  }

  /** The role of a caller. Throws `aws-role-missing` or `aws-role-invalid`. */
  roleOf(caller: Caller): RoleArn {
    return effectiveRole(awsIdentityOf(caller, this.#settings));
  }

  /**
   * Credentials: at once if they are cached, else a promise, which rejects with `aws-role-missing`, `aws-role-invalid`,
   * `aws-sts-unavailable`, `aws-sts-refused`, `caller-throttled`, `caller-busy`, the codes of a TokenRequest, and, for a
   * role that trusts a Google account, those of an ID token.
   */
  of(caller: Caller): AwsCredentials | Promise<AwsCredentials> {
    return this.#cache.peek(caller, ONLY) ?? this.#newCredentials(caller);
  }

  /** What is cached for this caller, and what last failed. */
  status(caller: Caller): CredentialStatus {
    const kept = [this.#cache.kept(caller)];
    return credentialStatus(kept, this.#attending.lastFailure(caller));
  }

  /** The cached credentials; undefined if {@link of} would have to wait. */
  cached(caller: Caller): AwsCredentials | undefined {
    return this.#cache.peek(caller, ONLY);
  }

  /** The number of cached credentials and failures. */
  get cacheSize(): number {
    return this.#cache.size;
  }

  /** Refreshes what is due and drops what has expired, once. */
  refreshDue(): Promise<void> {
    return this.#cache.refreshDue();
  }

  /** Keeps the cache fresh until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await keepRefreshed(this, this.#dependencies.effects, signal);
  }

  async #newCredentials(caller: Caller): Promise<AwsCredentials> {
    awsIdentityOf(caller, this.#settings);
    return this.#cache.get(caller, ONLY, () => this.#attending.enter(caller));
  }

  async #exchange(caller: Caller): Promise<AwsCredentials> {
    const identity = awsIdentityOf(caller, this.#settings);
    const deadline = this.#dependencies.effects.now() + this.#attending.patience();
    const token = await this.#webIdentityToken(caller, identity, deadline);
    const { sessionSeconds } = this.#settings;
    const { role, targetRole } = identity;
    const session = (arn: RoleArn, seconds: number) => ({
      role: arn,
      sessionName: sessionName(caller.serviceAccount),
      durationSeconds: seconds,
    });
    // the first role's credentials only sign one request
    const firstSeconds = targetRole === undefined ? sessionSeconds : SHORTEST_SESSION_SECONDS;
    const first = await this.#call('AssumeRoleWithWebIdentity', role, deadline, (signal) =>
      this.#sts.assumeRoleWithWebIdentity(session(role, firstSeconds), token, signal),
    );
    if (targetRole === undefined) return first;
    const seconds = Math.min(sessionSeconds, LONGEST_CHAINED_SECONDS);
    return this.#call('AssumeRole', targetRole, deadline, (signal) =>
      this.#sts.assumeRole(session(targetRole, seconds), first, signal),
    );
  }

  async #webIdentityToken(caller: Caller, { webIdentity }: AwsIdentity, deadline: number): Promise<Secret> {
    if (webIdentity === 'google') {
      return (await this.#dependencies.googleIDToken(caller, GOOGLE_AUDIENCE)).token;
    }
    const { audience } = this.#settings;
    const seconds = SHORTEST_KUBERNETES_TOKEN_SECONDS;
    return (await this.#kubernetesTokens.request(caller, audience, seconds, deadline)).token;
  }

  #call(
    action: StsAction,
    role: RoleArn,
    deadline: number,
    attempt: (signal: AbortSignal) => Promise<AwsCredentials>,
  ): Promise<AwsCredentials> {
    const late = () => new AwsFault('aws-sts-unavailable', { action, role });
    return this.#steps.run('aws-sts', deadline, late, attempt);
  }
}

/** The shortest session that STS gives. */
const SHORTEST_SESSION_SECONDS = 900;

/** Who a caller is in AWS, for the log. */
function awsRoleOf(caller: Caller, settings: AwsSettings): Readonly<Record<string, string>> {
  try {
    return { awsRole: effectiveRole(awsIdentityOf(caller, settings)) };
  } catch {
    return {}; // the fault that is logged says so
  }
}
