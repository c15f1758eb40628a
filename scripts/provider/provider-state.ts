import { type PublicKey, parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import type { Gcloud } from './gcloud.ts';

/** Names of the pool and the provider in a project; both are in `global`, where all are. */
export interface ProviderNames {
  readonly project: string;
  readonly pool: string;
  readonly provider: string;
}

export interface PoolState {
  readonly deleted: boolean;
  readonly disabled: boolean;
}

export interface ProviderState extends PoolState {
  /** `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`. */
  readonly name: string;
  readonly issuer: string;
  /** Undefined if none were uploaded: Google fetches them from the issuer. */
  readonly keys: readonly PublicKey[] | undefined;
  readonly attributeMapping: Readonly<Record<string, string>>;
  /** Empty: its own name, and nothing else. */
  readonly allowedAudiences: readonly string[];
}

/** What Google has; undefined for what does not exist. */
export interface GoogleState {
  readonly pool: PoolState | undefined;
  readonly provider: ProviderState | undefined;
}

/** What `describe` prints: WorkloadIdentityPool and WorkloadIdentityPoolProvider of the IAM API, v1. */
interface Described {
  readonly name?: string;
  readonly state?: string;
  readonly disabled?: boolean;
  readonly attributeMapping?: Readonly<Record<string, string>>;
  readonly oidc?: {
    readonly issuerUri?: string;
    readonly jwksJson?: string;
    readonly allowedAudiences?: readonly string[];
  };
}

/** The arguments of gcloud for the pool. */
export function poolArgs(verb: string, { project, pool }: ProviderNames): readonly string[] {
  return ['iam', 'workload-identity-pools', verb, pool, `--project=${project}`, '--location=global'];
}

/** The arguments of gcloud for the provider. */
export function providerArgs(verb: string, { project, pool, provider }: ProviderNames): readonly string[] {
  const place = [`--project=${project}`, '--location=global', `--workload-identity-pool=${pool}`];
  return ['iam', 'workload-identity-pools', 'providers', verb, provider, ...place];
}

/** Asks Google; changes nothing. Throws a Failure. */
export async function readGoogleState(gcloud: Gcloud, names: ProviderNames): Promise<GoogleState> {
  const pool = await describe(gcloud, poolArgs('describe', names));
  if (pool === undefined) return { pool, provider: undefined };
  const provider = await describe(gcloud, providerArgs('describe', names));
  return { pool: poolState(pool), provider: provider && (await providerState(provider)) };
}

async function describe(gcloud: Gcloud, args: readonly string[]): Promise<Described | undefined> {
  // gcloud prints the message of the API as it is generated from the API's own description
  return (await gcloud.describe(args)) as Described | undefined;
}

function poolState({ state, disabled = false }: Described): PoolState {
  return { deleted: state === 'DELETED', disabled };
}

async function providerState(described: Described): Promise<ProviderState> {
  const { name = '', oidc = {}, attributeMapping = {} } = described;
  return {
    ...poolState(described),
    name,
    issuer: oidc.issuerUri ?? '',
    keys: oidc.jwksJson ? await uploadedKeys(oidc.jwksJson) : undefined,
    attributeMapping,
    allowedAudiences: oidc.allowedAudiences ?? [],
  };
}

/** None if they cannot be read: they are useless then, and are replaced. */
async function uploadedKeys(jwksJson: string): Promise<readonly PublicKey[]> {
  try {
    return await parseKeySet(new Field(JSON.parse(jwksJson), 'jwksJson'));
  } catch {
    return [];
  }
}
