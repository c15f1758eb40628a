import type { ConfigField } from '../../scripts/module/config-fields.ts';
import type { Instance, ModuleValues } from '../../scripts/module/render.ts';

/** Makes one value of a field; `number` is another one each time. */
type Sample = (number: number) => unknown;

/** A word that no object of the module contains by itself. */
function word(number: number): string {
  const letters = number
    .toString(16)
    .padStart(4, '0')
    .replace(/./g, (digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)] ?? '');
  return `q${letters}z`;
}

const duration: Sample = (number) => `${50_000 + number}s`;
const printable: Sample = (number) => `${word(number)}"'\\{{#`;

/** By a field's path, else by its type: values as different from each other as its type allows. */
const samples: Readonly<Record<string, Sample>> = {
  'image.repository': (number) => `registry.example.com/${word(number)}`,
  'settings.cacheMaxTokenDuration': (number) =>
    `${1 + (number % 9)}h${number % 60}m${Math.floor(number / 60) % 60}s`,
  'aws.sessionDuration': (number) => `${20 + (number % 600)}m`,
  'certificates.caDuration': (number) => `${80_000 + number}h`,
  'certificates.duration': (number) => `${20_000 + number}h`,
  'certificates.renewBefore': (number) => `${10_000 + number}h`,
  'webhook.initNetworkResources': (number) =>
    [
      'auto',
      'none',
      { requests: { memory: `${number}Mi` } },
      { limits: { cpu: `${number}m`, memory: '1Gi' } },
    ][number % 4],
  ImageTag: word,
  ImageDigest: (number) => `sha256:${number.toString(16).padStart(64, 'f')}`,
  Port: (number) => 20_000 + number,
  Rate: (number) => 10_000 + number,
  Duration: duration,
  ProjectID: (number) => `${word(number)}-project`,
  WorkloadIdentityProvider: (number) =>
    `projects/1/locations/global/workloadIdentityPools/${word(number)}/providers/cluster`,
  GoogleServiceAccountEmail: (number) => `${word(number)}@project.iam.gserviceaccount.com`,
  URL: (number) => `https://${word(number)}.example.com/"\\`,
  HTTPSURL: (number) => `https://${word(number)}.example.com/"\\`,
  AWSRegion: (number) => `eu-${word(number)}-1`,
  AWSAccountID: (number) => `${number}`.padStart(12, '0'),
  AWSPartition: (number) => `aws-${word(number)}`,
  AzureTenantID: (number) => `00000000-0000-0000-0000-${`${number}`.padStart(12, '0')}`,
  AnnotationSuffix: word,
  PEM: (number) => `-----BEGIN CERTIFICATE-----\n${word(number)}\n-----END CERTIFICATE-----\n`,
  Domain: (number) => `${word(number)}.example.com`,
  DNSLabel: word,
  ObjectName: word,
  MetadataValue: printable,
  CPU: (number) => `${30_000 + number}m`,
  Memory: (number) => `${30_000 + number}Mi`,
  CIDR: (number) => `10.${number >> 8}.${number & 255}.0/24`,
  LabelKey: word,
  LabelValue: word,
  Annotation: (number) => `${word(number)} "{{ . }}": $x`,
  Toleration: (number) => ({
    key: word(number),
    operator: 'Equal',
    value: 'true',
    effect: 'NoExecute',
    tolerationSeconds: 30,
  }),
  EnvVar: (number) => ({ name: word(number), value: printable(number) }),
  ID: (number) => (number % 3 === 0 ? null : 1000 + number),
  ImagePullSecret: (number) => (number % 2 === 0 ? word(number) : { name: word(number) }),
  Affinity: (number) =>
    number % 4 === 0
      ? {}
      : {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: word(number), operator: 'Exists' }] }],
            },
          },
        },
  Replicas: (number) => 1 + (number % 10),
  ReviewTimeout: (number) => 1 + (number % 30),
  Surge: (number) => (number % 2 === 0 ? 1 + (number % 9) : `${1 + (number % 99)}%`),
};

function sampleValue(field: ConfigField, next: () => number, below: (end: number) => number): unknown {
  const { path, type, choices } = field;
  if (type === 'Boolean' || type === 'boolean') return below(10) < 7;
  if (choices !== undefined) return choices[below(choices.length)] ?? '';
  if (['ImageTag', 'ImageDigest'].includes(type) && below(2) === 0) return '';
  // to cue an empty map is the default
  const least = isMap(field.default) && Object.keys(field.default).length > 0 ? 1 : 0;
  if (type === 'Labels') return sampleMap(sampleOf('LabelValue', path), next, least + below(4 - least));
  if (type === 'Annotations') return sampleMap(sampleOf('Annotation', path), next, least + below(4 - least));
  const element = /^\[\.\.\.(.*)\]$/.exec(type)?.[1];
  if (element !== undefined) {
    const sample = sampleOf(element, path);
    return Array.from({ length: below(4) }, () => sample(next()));
  }
  return sampleOf(path in samples ? path : type, path)(next());
}

/** In the order of their keys, as Helm has them. */
function sampleMap(sample: Sample, next: () => number, size: number): unknown {
  return Object.fromEntries(Array.from({ length: size }, () => [word(next()), sample(next())]));
}

function sampleOf(name: string, path: string): Sample {
  const sample = samples[name];
  if (sample === undefined) {
    throw new Error(`no sample values of ${path}, whose type is ${name}: add some to ${import.meta.path}`);
  }
  return sample;
}

/** Numbers from 0 to below a bound, always the same for a seed (mulberry32). */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** Values for any field, that go together as the module's guards have it: the same for the same number. */
export function sampleValues(
  fields: readonly ConfigField[],
  number: number,
): { values: ModuleValues; instance: Instance } {
  const below = randomBelow(number);
  let count = below(1000);
  const next = (): number => {
    count += 1;
    return count;
  };
  const absent = new Set(fields.flatMap(({ within }) => within ?? []).filter(() => below(2) === 0));
  let values: ModuleValues = {};
  for (const field of fields) {
    const isOptional = !field.required && field.default === undefined;
    if ((isOptional && below(2) === 0) || (field.within !== undefined && absent.has(field.within))) continue;
    values = withValueAt(values, field.path, sampleValue(field, next, below));
  }
  const [name, namespace] = [word(next()), word(next())];
  return {
    values: together(values, () => word(next())),
    instance: { name, namespace, moduleVersion: `1.2.${next()}+${word(next())}` },
  };
}

const doneByTheWebhook = [
  'test.enabled',
  'aws.enabled',
  'aws.podIdentity.enabled',
  'azure.enabled',
  'googleToAws.enabled',
  'externalAccount.enabled',
];

/** What the guards refuse in most combinations of the values. */
function together(values: ModuleValues, other: () => string): ModuleValues {
  let result = values;
  if (valueAt(result, 'webhook.enabled') === false) {
    result = withValueAt(result, 'webhook.injectionMode', 'Environment');
    for (const path of doneByTheWebhook) result = withValueAt(result, path, false);
  }
  if (valueAt(result, 'test.enabled') === true) {
    result = withValueAt(result, 'test.googleServiceAccount', `${other()}@project.iam.gserviceaccount.com`);
  }
  for (const cloud of ['aws', 'azure']) {
    if (valueAt(result, `${cloud}.enabled`) !== true) {
      result = withValueAt(result, `${cloud}.credentials`, 'TokenFile');
    }
  }
  if (valueAt(result, 'aws.credentials') === 'MetadataServer') result = without(result, ['aws', 'configMap']);
  if (valueAt(result, 'aws.region') === undefined || valueAt(result, 'aws.stsEndpoint') !== undefined) {
    result = withValueAt(result, 'aws.fips', false);
  }
  const excluded = valueAt(result, 'webhook.excludedNamespaces');
  if (Array.isArray(excluded)) {
    result = withValueAt(result, 'webhook.excludedNamespaces', [...excluded, 'kube-system']);
  }
  const endpoint = valueAt(result, 'azure.customTokenEndpoint');
  if (isMap(endpoint)) result = withValueAt(result, 'azure.customTokenEndpoint', withOneAuthority(endpoint));
  if (valueAt(result, 'image.tag') === '' && valueAt(result, 'image.digest') === '') {
    result = withValueAt(result, 'image.tag', other());
  }
  return result;
}

function withOneAuthority({
  caConfigMap,
  caData,
  clusterTrustBundle,
  ...endpoint
}: ModuleValues): ModuleValues {
  const { clusterTrustBundleLabels, ...others } = endpoint;
  if (clusterTrustBundle !== undefined) return { ...endpoint, clusterTrustBundle };
  if (caData !== undefined) return { ...others, caData };
  return caConfigMap === undefined ? others : { ...others, caConfigMap };
}

/** Without every other of the fields that have a default, but for those whose default the guards hold to others. */
export function withDefaults(values: ModuleValues, fields: readonly ConfigField[]): ModuleValues {
  return fields
    .filter(
      ({ path, default: value }) =>
        value !== undefined &&
        !/^(certificates\.\w+|image\.\w+|(aws|azure)\.(enabled|credentials))$/.test(path),
    )
    .filter((_, index) => index % 2 === 0)
    .reduce((kept, { path }) => without(kept, path.split('.')), values);
}

function without(values: ModuleValues, [name = '', ...rest]: readonly string[]): ModuleValues {
  const { [name]: inner, ...others } = values;
  if (rest.length === 0) return others;
  return isMap(inner) ? { ...others, [name]: without(inner, rest) } : values;
}

function valueAt(values: ModuleValues, path: string): unknown {
  return path.split('.').reduce<unknown>((at, name) => (isMap(at) ? at[name] : undefined), values);
}

function withValueAt(values: ModuleValues, path: string, leaf: unknown): ModuleValues {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...values, [name]: leaf };
  const inner = values[name];
  return { ...values, [name]: withValueAt(isMap(inner) ? inner : {}, rest.join('.'), leaf) };
}

function isMap(value: unknown): value is ModuleValues {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
