import { decodeJwt, type JWTPayload } from 'jose';
import type { Caller } from '../caller/caller.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';
import { isTransient } from '../credentials/failure.ts';
import { member } from '../credentials/upstream.ts';
import type { Exchanges } from '../google/exchanges.ts';
import {
  type GoogleServiceAccountEmail,
  type Impersonation,
  impersonationOf,
} from '../google/google-account.ts';
import { GoogleFault } from '../google/google-fault.ts';
import { DEFAULT_SCOPES, type ExpiringToken } from '../google/tokens.ts';
import { principalOf, type WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { KubernetesToken } from '../kubernetes/objects.ts';
import { NotNeeded, StepFailure, type Told } from './steps.ts';

/** Nobody takes a token for this audience for anything. */
const AUDIENCE = 'gke-metadata-server-explain';
const LONGEST_CLAIM = 200;

/** Whose tokens it gets: the annotated account's, or its own where there is no annotation. */
export interface Target {
  readonly caller: Caller;
  readonly impersonation: Impersonation | undefined;
  /** As IAM policies name the ServiceAccount, where the provider maps `google.subject` to `assertion.sub`. */
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

/** A token of the ServiceAccount, bound to the Pod or Node. */
export async function tokenRequested(
  { caller }: Target,
  exchanges: Exchanges,
): Promise<Told<KubernetesToken>> {
  const value = await exchanges.kubernetesToken(caller, exchanges.deadline());
  const facts = claimsOf(value);
  const { subject = 'a token', issuer = 'an unknown issuer' } = facts;
  const { kind, name } = caller.boundTo;
  return { value, summary: `${subject} by ${issuer}, bound to ${kind} ${name}`, facts };
}

/** Google's token for that one. */
export async function exchanged(
  { impersonation }: Target,
  subject: KubernetesToken,
  exchanges: Exchanges,
): Promise<Told<ExpiringToken>> {
  const scopes = impersonation === undefined ? DEFAULT_SCOPES : undefined;
  const value = await exchanges.exchange(subject, exchanges.deadline(), scopes);
  return {
    value,
    summary: 'Google knows the cluster and takes its token',
    facts: { expiresAt: time(value.expiresAt) },
  };
}

/** The access token that the Pod gets. */
export async function accessTokenGiven(
  target: Target,
  federated: ExpiringToken,
  exchanges: Exchanges,
): Promise<Told<ExpiringToken>> {
  const { impersonation, principal } = target;
  if (impersonation === undefined) {
    return { value: federated, summary: `the federated token of ${principal}`, facts: { of: principal } };
  }
  const { account } = impersonation;
  try {
    const value = await exchanges.accessToken(federated, impersonation, DEFAULT_SCOPES, exchanges.deadline());
    return { value, summary: `of ${account}`, facts: { of: account, expiresAt: time(value.expiresAt) } };
  } catch (error) {
    throw withCommand(error, account, principal);
  }
}

/** An ID token, the two ways in which the server tries to get one. `access` is undefined where it was refused. */
export async function idTokenGiven(
  { impersonation, principal }: Target,
  federated: ExpiringToken,
  access: ExpiringToken | undefined,
  exchanges: Exchanges,
): Promise<Told<void>> {
  if (impersonation === undefined) throw new NotNeeded('there is none without an annotation');
  const { account } = impersonation;
  const ask = (bearer: ExpiringToken) =>
    exchanges.idToken(bearer, impersonation, AUDIENCE, exchanges.deadline());
  const told = ({ expiresAt }: ExpiringToken, way: string) => ({
    value: undefined,
    summary: `of ${account}, ${way}`,
    facts: { of: account, audience: AUDIENCE, expiresAt: time(expiresAt) },
  });
  try {
    return told(await ask(federated), 'in one step');
  } catch (refusal) {
    if (!isDenial(refusal) || access === undefined) throw withCommand(refusal, account, principal);
    try {
      return told(await ask(access), 'asked for by the account itself');
    } catch (error) {
      throw isTransient(error) ? error : withCommand(refusal, account, principal);
    }
  }
}

function isDenial(error: unknown): boolean {
  return error instanceof Fault && error.code === 'iam-permission-denied';
}

/** A denial with the command that would have prevented it; anything else as it is. */
function withCommand(error: unknown, account: GoogleServiceAccountEmail, principal: string): unknown {
  if (!(error instanceof GoogleFault) || !isDenial(error)) return error;
  const { code, message, remedy } = error;
  const command =
    `gcloud iam service-accounts add-iam-policy-binding ${account} ` +
    `--role=roles/iam.workloadIdentityUser --member='${principal}'`;
  return new StepFailure(code, message, `${remedy}\n${command}`);
}

/** What the token says of itself: what a provider's issuer, audience and conditions are compared with. */
function claimsOf({ token, expiresAt }: KubernetesToken): Readonly<Record<string, string>> {
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
