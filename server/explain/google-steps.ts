import { decodeJwt, type JWTPayload } from 'jose';
import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { member } from '../credentials/upstream.ts';
import {
  type GoogleServiceAccountEmail,
  type Impersonation,
  impersonationOf,
} from '../google/google-account.ts';
import { GoogleFault } from '../google/google-fault.ts';
import { GoogleTokens, type GoogleTokensSettings } from '../google/google-tokens.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import { principalOf, type WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { ExchangeKind } from '../telemetry/events.ts';
import { NotNeeded, StepFailure, type Told } from './steps.ts';

/** Nothing accepts a token for this audience. */
const AUDIENCE = 'gke-metadata-server-explain';
const LONGEST_CLAIM = 200;

/** Whose tokens it gets: the annotated account's, or its own without annotation. */
export interface Target {
  readonly caller: Caller;
  readonly impersonation: Impersonation | undefined;
  /** As IAM policies name the ServiceAccount if the provider maps `google.subject` to `assertion.sub`. */
  readonly principal: string;
}

/** What the annotations say. Throws `account-annotation-invalid` or `quota-project-invalid`. */
export function annotated(caller: Caller, provider: WorkloadIdentityProvider): Told<Target> {
  const impersonation = impersonationOf(caller);
  const principal = principalOf(caller.serviceAccount, provider);
  const value = { caller, impersonation, principal };
  if (impersonation === undefined) {
    return { value, summary: 'none: it uses resources directly, by its own principal', facts: { principal } };
  }
  const { account, quotaProject } = impersonation;
  const facts = { googleAccount: account, principal, ...(quotaProject !== undefined && { quotaProject }) };
  return { value, summary: account, facts };
}

/** Tokens as the server gets them, which share nothing with the running server. Each step to one is written down. */
export class RecordedTokens {
  readonly #tokens: GoogleTokens;
  readonly #steps: { readonly kind: ExchangeKind; readonly outcome: Promise<Outcome> }[] = [];

  constructor(settings: GoogleTokensSettings, kubernetes: KubernetesClient, effects: Effects) {
    this.#tokens = new GoogleTokens(
      { ...settings, cacheTokens: true }, // or each token would be exchanged for again
      {
        kubernetes,
        effects,
        events: { exchanged() {}, exchangeThrottled() {}, cacheLookedUp() {} },
        limits: { enter: () => () => {} },
        log: { debug() {}, warn() {}, error() {} },
        refused() {},
        observe: (kind, step) => this.#steps.push({ kind, outcome: outcomeOf(step) }),
      },
    );
  }

  /** An ID token for another step, which is not written down as one of these. */
  async idToken(caller: Caller, audience: string): Promise<ExpiringToken> {
    return this.#tokens.idToken(caller, audience);
  }

  /** Asks for both kinds of token as a Pod does that names no scopes. */
  async ask(caller: Caller): Promise<AskedTokens> {
    const access = await outcomeOf(this.#tokens.accessToken(caller, ''));
    const id = await outcomeOf(this.#tokens.idToken(caller, AUDIENCE));
    const steps = await Promise.all(
      this.#steps.map(async ({ kind, outcome }) => ({ kind, ...(await outcome) })),
    );
    return { access, id, of: (kind) => steps.filter((step) => step.kind === kind) };
  }
}

/** A token, or the error for which there is none. */
type Outcome = { readonly token: ExpiringToken } | { readonly error: unknown };

/** What became of both requests, and of the steps to them. */
interface AskedTokens {
  readonly access: Outcome;
  readonly id: Outcome;
  /** The steps of this kind, in the order in which they were taken. */
  of(kind: ExchangeKind): readonly Outcome[];
}

async function outcomeOf(asked: ExpiringToken | Promise<ExpiringToken>): Promise<Outcome> {
  try {
    return { token: await asked };
  } catch (error) {
    return { error };
  }
}

/** Throws the error of the outcome. */
function tokenOf(outcome: Outcome | undefined): ExpiringToken {
  if (outcome === undefined) throw new Error('the server does not take this step'); // it took a later one
  if ('error' in outcome) throw outcome.error;
  return outcome.token;
}

/** A token of the ServiceAccount, bound to the Pod or Node. */
export function tokenRequested({ caller: { boundTo } }: Target, asked: AskedTokens): Told<AskedTokens> {
  const facts = claimsOf(tokenOf(asked.of('token-request')[0]));
  const { subject = 'a token', issuer = 'an unknown issuer' } = facts;
  return {
    value: asked,
    summary: `${subject} by ${issuer}, bound to ${boundTo.kind} ${boundTo.name}`,
    facts,
  };
}

/** Google's token for that one. */
export function exchanged(asked: AskedTokens): Told<AskedTokens> {
  const { expiresAt } = tokenOf(asked.of('sts')[0]);
  return {
    value: asked,
    summary: "Google accepted the cluster's token",
    facts: { expiresAt: time(expiresAt) },
  };
}

/** The access token that the Pod gets. */
export function accessTokenGiven({ impersonation, principal }: Target, { access }: AskedTokens): Told<void> {
  const given = tokenGiven(access, impersonation?.account, principal);
  if (impersonation === undefined) {
    return { value: undefined, summary: `the federated token of ${principal}`, facts: { of: principal } };
  }
  const { account } = impersonation;
  return {
    value: undefined,
    summary: `of ${account}`,
    facts: { of: account, expiresAt: time(given.expiresAt) },
  };
}

/** An ID token, and in which of the two ways the server got it. */
export function idTokenGiven({ impersonation, principal }: Target, { id, of }: AskedTokens): Told<void> {
  if ('error' in id && id.error instanceof Fault && id.error.code === 'account-annotation-missing') {
    throw new NotNeeded('there is none without an annotation');
  }
  const { expiresAt } = tokenGiven(id, impersonation?.account, principal);
  const account = `${impersonation?.account}`;
  const way = of('id-token').length === 1 ? 'in one step' : 'asked for by the account itself';
  return {
    value: undefined,
    summary: `of ${account}, ${way}`,
    facts: { of: account, audience: AUDIENCE, expiresAt: time(expiresAt) },
  };
}

/** Throws a denial with the command that would have prevented it; anything else as it is. */
function tokenGiven(
  outcome: Outcome,
  account: GoogleServiceAccountEmail | undefined,
  principal: string,
): ExpiringToken {
  if (!('error' in outcome)) return outcome.token;
  const { error } = outcome;
  if (account === undefined || !(error instanceof GoogleFault) || error.code !== 'iam-permission-denied') {
    throw error;
  }
  const command =
    `gcloud iam service-accounts add-iam-policy-binding ${account} ` +
    `--role=roles/iam.workloadIdentityUser --member='${principal}'`;
  throw new StepFailure(error.code, error.message, `${error.remedy}\n${command}`);
}

/** What the token says of itself: what a provider's issuer, audience and conditions are compared with. */
function claimsOf({ token, expiresAt }: ExpiringToken): Readonly<Record<string, string>> {
  const { iss, sub, aud, ...others } = decoded(token.reveal());
  const bound = member(others, 'kubernetes.io');
  const podName = member(member(bound, 'pod'), 'name');
  const nodeName = member(member(bound, 'node'), 'name');
  const audience = Array.isArray(aud) ? aud.join(' ') : aud;
  const claims = { issuer: iss, subject: sub, audience, pod: podName, node: nodeName };
  const texts = Object.entries(claims).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, printable(value, LONGEST_CLAIM)] as const] : [],
  );
  return { ...Object.fromEntries(texts), expiresAt: time(expiresAt) };
}

function decoded(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch {
    return {}; // Google will say what it thinks of that
  }
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
