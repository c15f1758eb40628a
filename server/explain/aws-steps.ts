import { awsIdentityOf, effectiveRole } from '../aws/aws-identity.ts';
import type { RoleArn } from '../aws/aws-role.ts';
import { RoleCredentials, type RoleCredentialsSettings } from '../aws/role-credentials.ts';
import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { Secret } from '../core/secret.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { NotNeeded, type Told } from './steps.ts';

/** Who a caller is in AWS. */
export interface AwsTarget {
  readonly caller: Caller;
  readonly role: RoleArn;
}

/** What the annotations say. Throws `aws-role-invalid`, and {@link NotNeeded} if there are none. */
export function awsAnnotated(caller: Caller, { aws }: RoleCredentialsSettings): Told<AwsTarget> {
  try {
    const identity = awsIdentityOf(caller, aws);
    const role = effectiveRole(identity);
    const via = identity.targetRole === undefined ? '' : `, assumed by ${identity.role}`;
    const by = identity.webIdentity === 'google' ? ', by the ID token of its Google account' : '';
    return { value: { caller, role }, summary: `${role}${via}${by}`, facts: { role } };
  } catch (error) {
    if (error instanceof Fault && error.code === 'aws-role-missing') throw new NotNeeded(error.message);
    throw error;
  }
}

/** Credentials as the server gets them, with a cache that shares nothing with the running server. */
export async function awsCredentialsGiven(
  { caller, role }: AwsTarget,
  settings: RoleCredentialsSettings,
  kubernetes: KubernetesClient,
  effects: Effects,
  googleIDToken: (caller: Caller, audience: string) => Promise<{ readonly token: Secret }>,
): Promise<Told<void>> {
  const credentials = new RoleCredentials(settings, {
    kubernetes,
    effects,
    events: { exchanged() {}, exchangeThrottled() {}, cacheLookedUp() {} },
    limits: { enter: () => () => {} },
    log: { debug() {}, warn() {}, error() {} },
    refused() {},
    googleIDToken,
  });
  const { expiresAt } = await credentials.of(caller);
  const facts = { of: role, expiresAt: new Date(expiresAt).toISOString() };
  return { value: undefined, summary: `of ${role}`, facts };
}
