import { principalOf, type WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import { AWS_ACCOUNT_ID, INHABITANTS, type Inhabitant } from './inhabitants.ts';
import type { StandInAws } from './stand-in-aws.ts';
import type { StandInEntra } from './stand-in-entra.ts';
import type { StandInGoogle } from './stand-in-google.ts';
import type { StandInKubernetes } from './stand-in-kubernetes.ts';

const AWS_AUDIENCE = 'sts.amazonaws.com';

/** Google accounts that the ServiceAccounts may use; that of `denied` lets nobody. */
export function trustInGoogle(
  google: StandInGoogle,
  { issuer, jwks }: StandInKubernetes,
  provider: WorkloadIdentityProvider,
): void {
  google.addProvider({ provider, issuer, jwks });
  for (const { name, namespace, serviceAccountName, googleAccount } of INHABITANTS) {
    if (googleAccount === undefined) continue;
    google.serviceAccounts.add(googleAccount);
    if (name === 'denied') continue;
    google.serviceAccounts.bind(
      googleAccount,
      'roles/iam.workloadIdentityUser',
      principalOf({ namespace, name: serviceAccountName }, provider),
    );
  }
}

/** Roles that trust the ServiceAccount, and its Google account; that of `denied` trusts nobody. */
export function trustInAws(
  aws: StandInAws,
  { issuer, jwks }: StandInKubernetes,
  google: StandInGoogle,
): void {
  const name = issuer.replace(/^https:\/\//, '');
  aws.issuers.publish(issuer, jwks);
  aws.issuers.publish('https://accounts.google.com', google.jwks);
  aws.iam.putOpenIDConnectProvider({ accountID: AWS_ACCOUNT_ID, url: issuer, clientIDs: [AWS_AUDIENCE] });
  for (const inhabitant of INHABITANTS) {
    const { awsRole, googleAccount } = inhabitant;
    if (awsRole === undefined) continue;
    const account = googleAccount === undefined ? undefined : google.serviceAccounts.get(googleAccount);
    const trust = (Federated: string, StringEquals: Record<string, string>) => ({
      Effect: 'Allow' as const,
      Principal: { Federated },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { StringEquals },
    });
    const statements = [
      trust(`arn:aws:iam::${AWS_ACCOUNT_ID}:oidc-provider/${name}`, {
        [`${name}:sub`]: subjectOf(inhabitant),
        [`${name}:aud`]: AWS_AUDIENCE,
      }),
      // the unique ID is `azp` and `sub` of the account's ID tokens
      ...(account === undefined
        ? []
        : [
            trust('accounts.google.com', {
              'accounts.google.com:sub': account.uniqueID,
              'accounts.google.com:aud': account.uniqueID,
            }),
          ]),
    ];
    const Statement = inhabitant.name === 'denied' ? [] : statements;
    aws.iam.putRole({ arn: awsRole, trustPolicy: { Version: '2012-10-17', Statement } });
  }
}

/** Managed identities with a federated credential for the ServiceAccount; that of `denied` has none. */
export function trustInEntra(
  { directory, issuers }: StandInEntra,
  { issuer, jwks }: StandInKubernetes,
  tenantID: string,
): void {
  issuers.publish(issuer, jwks);
  directory.addTenant({ id: tenantID, name: 'Sandbox', domains: ['sandbox.example'] });
  for (const inhabitant of INHABITANTS) {
    const { name, azureClientID } = inhabitant;
    if (azureClientID === undefined) continue;
    directory.addIdentity({ tenantID, clientID: azureClientID, kind: 'managed identity' });
    if (name === 'denied') continue;
    const credential = { issuer, subject: subjectOf(inhabitant) };
    directory.addFederatedCredential(tenantID, azureClientID, credential);
  }
}

function subjectOf({ namespace, serviceAccountName }: Inhabitant): string {
  return `system:serviceaccount:${namespace}:${serviceAccountName}`;
}
