import { keySetDifference } from '../../server/kubernetes/cluster-keys.ts';
import type { ClusterIssuer } from './cluster-issuer.ts';
import {
  type GoogleState,
  type PoolState,
  type ProviderNames,
  type ProviderState,
  poolArgs,
  providerArgs,
} from './provider-state.ts';

/** What the provider is to be. */
export interface Wanted {
  readonly names: ProviderNames;
  readonly cluster: ClusterIssuer;
  /** Google fetches the keys from the issuer, which is public, instead of being given them. */
  readonly publicIssuer: boolean;
  /** The file with the JWK Set when the commands run. */
  readonly jwksFile: string;
}

/** One change: what is not as wanted, and the arguments of gcloud that put it right. */
export interface Step {
  readonly why: readonly string[];
  readonly args: readonly string[];
}

/**
 * What Google knows of a token: `subject` is what IAM policies of one ServiceAccount name, the attributes are for
 * policies of more. The Pod is not among them: the server keeps a token for all Pods of a ServiceAccount, and the token
 * of a Node has no Pod, which would make this mapping fail.
 */
export const ATTRIBUTE_MAPPING: Readonly<Record<string, string>> = {
  'google.subject': 'assertion.sub',
  'attribute.namespace': "assertion['kubernetes.io']['namespace']",
  'attribute.service_account_name': "assertion['kubernetes.io']['serviceaccount']['name']",
};

/** The changes that make Google's state the desired one, in order; none if it is. */
export function plan(wanted: Wanted, { pool, provider }: GoogleState): readonly Step[] {
  const { names } = wanted;
  const poolSteps = presence('pool', names.pool, pool, (verb) => poolArgs(verb, names));
  if (provider === undefined) return [...poolSteps, creation(wanted)];
  return [
    ...poolSteps,
    ...presence('provider', names.provider, provider, (verb) => providerArgs(verb, names)),
    ...update(wanted, provider),
  ];
}

function presence(
  kind: string,
  id: string,
  state: PoolState | undefined,
  args: (verb: string) => readonly string[],
): readonly Step[] {
  if (state === undefined) return [{ why: [`there is no ${kind} ${id}`], args: args('create') }];
  return state.deleted ? [{ why: [`the ${kind} ${id} was deleted`], args: args('undelete') }] : [];
}

function creation({ names, cluster, publicIssuer, jwksFile }: Wanted): Step {
  return {
    why: [`there is no provider ${names.provider}`],
    args: [
      ...providerArgs('create-oidc', names),
      `--issuer-uri=${cluster.issuer}`,
      `--attribute-mapping=${dictionary(ATTRIBUTE_MAPPING)}`,
      ...(publicIssuer ? [] : [`--jwk-json-path=${jwksFile}`]),
    ],
  };
}

function update(
  { names, cluster, publicIssuer, jwksFile }: Wanted,
  provider: ProviderState,
): readonly Step[] {
  const differences = [
    issuerDifference(cluster.issuer, provider.issuer),
    ...(publicIssuer ? uploadDifferences(provider, jwksFile) : keyDifferences(cluster, provider, jwksFile)),
    ...mappingDifferences(provider),
    audienceDifference(provider),
  ].filter((difference) => difference !== undefined);
  if (differences.length === 0) return [];
  const flags = new Set(differences.map(({ flag }) => flag));
  return [
    { why: differences.map(({ why }) => why), args: [...providerArgs('update-oidc', names), ...flags] },
  ];
}

interface Difference {
  readonly why: string;
  readonly flag: string;
}

function issuerDifference(cluster: string, provider: string): Difference | undefined {
  if (cluster === provider) return undefined;
  return {
    why: `the provider's issuer is '${provider}', the cluster's is '${cluster}'`,
    flag: `--issuer-uri=${cluster}`,
  };
}

function keyDifferences(cluster: ClusterIssuer, { keys = [] }: ProviderState, file: string): Difference[] {
  const { added, removed } = keySetDifference(keys, cluster.keys);
  const flag = `--jwk-json-path=${file}`;
  return [
    ...added.map((kid) => ({
      why: `the provider lacks the cluster's key ${kid}: Google refuses what it signs`,
      flag,
    })),
    ...removed.map((kid) => ({ why: `the provider has the key ${kid}, which the cluster has not`, flag })),
  ];
}

function uploadDifferences({ keys }: ProviderState, file: string): Difference[] {
  if (keys === undefined) return [];
  // gcloud has no flag that clears it; an empty file is the field's empty value
  return [
    {
      why: 'the provider has keys of its own, and does not look at the issuer',
      flag: `--jwk-json-path=${file}`,
    },
  ];
}

/** Attributes that somebody has added are theirs, and stay. */
function mappingDifferences({ attributeMapping }: ProviderState): Difference[] {
  const flag = `--attribute-mapping=${dictionary({ ...attributeMapping, ...ATTRIBUTE_MAPPING })}`;
  return Object.entries(ATTRIBUTE_MAPPING)
    .filter(([attribute, expression]) => attributeMapping[attribute] !== expression)
    .map(([attribute, expression]) => {
      const is = attributeMapping[attribute] ?? 'missing';
      return { why: `the provider's ${attribute} is ${is}, not ${expression}`, flag };
    });
}

/** The server asks for tokens whose audience is the provider's name, which a list has to name. */
function audienceDifference({ name, allowedAudiences }: ProviderState): Difference | undefined {
  const own = `//iam.googleapis.com/${name}`;
  if (allowedAudiences.length === 0 || allowedAudiences.includes(own)) return undefined;
  return {
    why: `the provider's allowed audiences leave out its own name, ${own}`,
    flag: `--allowed-audiences=${[...allowedAudiences, own].join(',')}`,
  };
}

/** As gcloud reads dictionaries: by commas, or by what stands between two carets (`gcloud topic escaping`). */
function dictionary(entries: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(entries).map(([key, value]) => `${key}=${value}`);
  const delimiter =
    [',', ';', '#', '~', '@@'].find((one) => !pairs.some((pair) => pair.includes(one))) ?? ',';
  return `${delimiter === ',' ? '' : `^${delimiter}^`}${pairs.join(delimiter)}`;
}
