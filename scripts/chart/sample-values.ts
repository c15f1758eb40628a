import type { ConfigField } from '../module/config-fields.ts';
import type { Json } from './json.ts';
import { isFilledMap, mayBeEmpty } from './vocabulary.ts';

/** Makes one value of a field; `number` is another one each time, and none of the values is part of another. */
type Sample = (number: number) => Json;

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
  'certificates.caDuration': (number) => `${80_000 + number}h`,
  'certificates.duration': (number) => `${20_000 + number}h`,
  'certificates.renewBefore': (number) => `${10_000 + number}h`,
  ImageTag: word,
  ImageDigest: (number) => `sha256:${number.toString(16).padStart(64, 'f')}`,
  Port: (number) => 20_000 + number,
  Duration: duration,
  ProjectID: (number) => `${word(number)}-project`,
  WorkloadIdentityProvider: (number) =>
    `projects/1/locations/global/workloadIdentityPools/${word(number)}/providers/cluster`,
  GoogleServiceAccountEmail: (number) => `${word(number)}@project.iam.gserviceaccount.com`,
  URL: (number) => `https://${word(number)}.example.com/"\\`,
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
  'integer | Percent': (number) => (number % 2 === 0 ? 1 + (number % 9) : `${1 + (number % 99)}%`),
};

/** Values of a field, all that there are where they are few; `next` gives another number each time. */
export function sampleValue(field: ConfigField, next: () => number, below: (end: number) => number): Json {
  const { path, type, choices } = field;
  if (type === 'boolean') return below(10) < 7;
  if (choices !== undefined) return choices[below(choices.length)] ?? '';
  if (mayBeEmpty(field) && below(2) === 0) return '';
  const least = isFilledMap(field.default) ? 1 : 0;
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
function sampleMap(sample: Sample, next: () => number, size: number): Json {
  return Object.fromEntries(Array.from({ length: size }, () => [word(next()), sample(next())]));
}

function sampleOf(name: string, path: string): Sample {
  const sample = samples[name];
  if (sample === undefined) {
    throw new Error(`no sample values of ${path}, whose type is ${name}: add some to ${import.meta.path}`);
  }
  return sample;
}

/** A name for an instance or its Namespace. */
export const sampleName: (number: number) => string = word;
