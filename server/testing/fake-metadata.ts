import type { Elysia } from 'elysia';
import type { Caller, Callers } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault, type FaultCode } from '../core/fault.ts';
import { Secret } from '../core/secret.ts';
import { GOOGLE_ACCOUNT_ANNOTATION, readGoogleAccount } from '../google/google-account.ts';
import type { ExpiringToken, Tokens } from '../google/tokens.ts';
import { WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { Node } from '../kubernetes/objects.ts';
import { type MetadataRoutesDependencies, metadataRoutes } from '../metadata/routes.ts';
import type { Log } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';

export const EMAIL = 'app@my-project.iam.gserviceaccount.com';
export const PEER = '::ffff:10.0.0.7';
export const NOW = 1_800_000_000_000;
export const ACCESS_TOKEN = 'ya29.access';
export const ID_TOKEN = 'eyJ.id.token';

/** More than the longest wait of a request takes, at one look a second. */
const MOST_SLEEPS = 1000;

export function fault(code: FaultCode): Fault {
  return new Fault(code, `an internal message of ${code}`, { remedy: 'none' });
}

/** The metadata API with a caller and tokens that the test changes. */
export class FakeMetadata {
  annotations = annotated(EMAIL);
  node: Node | undefined = {
    name: 'node-1',
    uid: '0f9c2a44-6f0e-4d0b-9f6b-2f6a3f0d9c11',
    addresses: [],
    podRanges: [],
    labels: { 'topology.kubernetes.io/zone': 'eu-west-1b', 'topology.kubernetes.io/region': 'eu-west-1' },
    annotations: {},
  };
  time = NOW;
  token: ExpiringToken = { token: new Secret(ACCESS_TOKEN), expiresAt: NOW + 3600_000 };
  idToken: ExpiringToken = { token: new Secret(ID_TOKEN), expiresAt: NOW + 3600_000 };
  /** What identifying the caller, and a token that is not cached, throws. */
  callerFailure: unknown;
  tokenFailure: unknown;
  /** Whether the caller and the token are available without waiting. */
  warm = true;
  peer: string | undefined = PEER;
  sleep: Effects['sleep'] = async (milliseconds) => {
    this.time += milliseconds;
  };
  #sleeps = 0;
  readonly scopesAsked: string[] = [];
  readonly audiencesAsked: string[] = [];
  readonly logged: { readonly level: string; readonly fields: object; readonly message: string }[] = [];
  readonly metrics = new Metrics('1.2.3');
  readonly draining = new AbortController();

  app(
    settings: Partial<MetadataRoutesDependencies['settings']> = {},
    overrides: Partial<MetadataRoutesDependencies> = {},
  ): Elysia {
    return metadataRoutes({
      settings: {
        nodeName: 'node-1',
        projectID: 'my-project',
        workloadIdentityProvider: WorkloadIdentityProvider.parse(
          'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
        ),
        universeDomain: 'googleapis.com',
        clusterName: 'my-cluster',
        clusterLocation: '',
        cacheMaxTokenDurationSeconds: 3600,
        logLevel: 'info',
        ...settings,
      },
      callers: this.#callers(),
      tokens: this.#tokens(),
      node: () => this.node,
      metrics: this.metrics,
      instance: 'test',
      log: this.#log(),
      effects: { now: () => this.time, sleep: this.#boundedSleep },
      draining: this.draining.signal,
      peerOf: () => this.peer,
      ...overrides,
    });
  }

  /** GET with the flavor header. */
  async get(path: string, init: RequestInit = {}): Promise<Response> {
    return this.app().handle(
      new Request(`http://metadata.google.internal${path}`, {
        headers: { 'Metadata-Flavor': 'Google' },
        ...init,
      }),
    );
  }

  async text(path: string): Promise<[number, string]> {
    const response = await this.get(path);
    return [response.status, await response.text()];
  }

  /** What waits in vain fails: these sleeps take no time, so that no limit of a test would ever end it. */
  readonly #boundedSleep: Effects['sleep'] = (milliseconds, signal) => {
    if (++this.#sleeps > MOST_SLEEPS) throw new Error(`slept ${MOST_SLEEPS} times`);
    return this.sleep(milliseconds, signal);
  };

  #callers(): Callers {
    const identified = new Map<object, Caller>();
    const caller = () => {
      const { annotations } = this;
      const serviceAccount = { namespace: 'shop', name: 'checkout', uid: 'sa-1', annotations };
      const known = identified.get(annotations) ?? {
        serviceAccount,
        boundTo: { kind: 'Pod', name: 'p', uid: 'p-1' },
      };
      identified.set(annotations, known);
      return known;
    };
    return {
      known: (address) =>
        this.warm && this.callerFailure === undefined && address === PEER ? caller() : undefined,
      identify: async (address) => {
        if (this.callerFailure !== undefined) throw this.callerFailure;
        if (address !== PEER) throw fault('caller-unknown');
        return caller();
      },
      refused: () => {},
    };
  }

  #tokens(): Tokens {
    const cached = (token: ExpiringToken) =>
      this.warm && this.tokenFailure === undefined ? token : undefined;
    const exchanged = async (token: ExpiringToken) => {
      if (this.tokenFailure !== undefined) throw this.tokenFailure;
      return token;
    };
    const newIdToken = async (caller: Caller, audience: string) => {
      this.audiencesAsked.push(audience);
      if (audience === '') throw fault('audience-missing');
      if (readGoogleAccount(caller.serviceAccount).kind === 'none') throw fault('account-annotation-missing');
      return exchanged(this.idToken);
    };
    return {
      cachedAccessToken: () => cached(this.token),
      cachedIDToken: (_, audience) => (audience === 'warm' ? cached(this.idToken) : undefined),
      accessToken: (_, scopes) => {
        const known = scopes === '' ? cached(this.token) : undefined;
        if (known !== undefined) return known;
        this.scopesAsked.push(scopes);
        return exchanged(this.token);
      },
      idToken: (caller, audience) => {
        const known = audience === 'warm' ? cached(this.idToken) : undefined;
        return known ?? newIdToken(caller, audience);
      },
    };
  }

  #log(): Log {
    const at = (level: string) => (fields: object, message: string) => {
      this.logged.push({ level, fields, message });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }
}

/** The annotations of a ServiceAccount that impersonates this Google account, or none. */
export function annotated(googleAccount?: string): Record<string, string> {
  return googleAccount === undefined ? {} : { [GOOGLE_ACCOUNT_ANNOTATION]: googleAccount };
}
