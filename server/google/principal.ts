import type { ServiceAccount } from '../kubernetes/objects.ts';
import type { WorkloadIdentityProvider } from './workload-identity-provider.ts';

/**
 * A ServiceAccount as IAM policies name it, if the provider maps `google.subject` to `assertion.sub`:
 * https://cloud.google.com/iam/docs/principal-identifiers
 */
export function principalOf(
  { namespace, name }: Pick<ServiceAccount, 'namespace' | 'name'>,
  { projectNumber, pool }: Pick<WorkloadIdentityProvider, 'projectNumber' | 'pool'>,
): string {
  const pools = `principal://iam.googleapis.com/projects/${projectNumber}/locations/global/workloadIdentityPools`;
  return `${pools}/${pool}/subject/system:serviceaccount:${namespace}:${name}`;
}
