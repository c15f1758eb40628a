import { Fault } from '../core/fault.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

/** The form of a name. */
export const PROVIDER_FORM = 'projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER';

// Pool and provider ids: 4 to 32 of [a-z0-9-], https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
const PATTERN =
  /^projects\/(?<projectNumber>[0-9]+)\/locations\/global\/workloadIdentityPools\/(?<pool>[a-z0-9-]{4,32})\/providers\/(?<provider>[a-z0-9-]{4,32})$/;

/** The full resource name of a workload identity pool provider, checked once. */
export class WorkloadIdentityProvider {
  private constructor(
    readonly name: string,
    readonly projectNumber: string,
    readonly pool: string,
    readonly provider: string,
  ) {}

  /** Throws a `setting-invalid` {@link Fault} that names the expected form. */
  static parse(value: string): WorkloadIdentityProvider {
    const provider = WorkloadIdentityProvider.parsed(value);
    if (provider !== undefined) return provider;
    throw new Fault(
      'setting-invalid',
      `'${value}' is not a workload identity provider: expected ${PROVIDER_FORM}`,
      {
        remedy:
          'Copy the name from: gcloud iam workload-identity-pools providers describe PROVIDER ' +
          '--location=global --workload-identity-pool=POOL --format="value(name)"',
      },
    );
  }

  /** Undefined if `value` is not the name of a provider. */
  static parsed(value: string): WorkloadIdentityProvider | undefined {
    const groups = PATTERN.exec(value)?.groups;
    const { projectNumber, pool, provider } = groups ?? {};
    if (projectNumber === undefined || pool === undefined || provider === undefined) return undefined;
    return new WorkloadIdentityProvider(value, projectNumber, pool, provider);
  }

  /** The `audience` of Google's STS, and of the Kubernetes token it takes. */
  get audience(): string {
    return `//iam.googleapis.com/${this.name}`;
  }

  toString(): string {
    return this.name;
  }
}

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
