import { isJsonObject } from './json-patch.ts';

/**
 * The fields of a Pod that injections read and write. All other fields are kept, as the API
 * server may be newer than this program. Go may write an empty list or map as `null`.
 */
export interface PodManifest {
  readonly metadata: {
    readonly name?: string | null;
    readonly generateName?: string | null;
    readonly labels?: Readonly<Record<string, string>> | null;
    readonly annotations?: Readonly<Record<string, string>> | null;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[] | null;
    readonly volumes?: readonly Volume[] | null;
    readonly hostAliases?: readonly HostAlias[] | null;
    readonly nodeSelector?: Readonly<Record<string, string>> | null;
    readonly serviceAccountName?: string;
    readonly hostNetwork?: boolean;
    readonly os?: { readonly name: string } | null;
    /** Of the whole Pod. */
    readonly resources?: Readonly<Record<string, unknown>> | null;
    readonly securityContext?: { readonly runAsUser?: unknown } | null;
    readonly dnsConfig?: { readonly searches?: readonly string[] | null } | null;
  };
}

export interface Container {
  readonly name: string;
  readonly args?: readonly string[] | null;
  readonly resources?: {
    readonly requests?: Readonly<Record<string, unknown>> | null;
    readonly limits?: Readonly<Record<string, unknown>> | null;
  } | null;
  readonly env?: readonly EnvironmentVariable[] | null;
  readonly volumeMounts?: readonly VolumeMount[] | null;
  readonly [field: string]: unknown;
}

export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

/** A variable with a field of the Pod, by the downward API. */
export function fieldVariable(name: string, fieldPath: string): EnvironmentVariable {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

export interface Volume {
  readonly name: string;
  readonly [source: string]: unknown;
}

export interface HostAlias {
  readonly ip: string;
  readonly hostnames?: readonly string[] | null;
}

/** The Pod of a review, or undefined if the object is not one. */
export function readPod(object: unknown): PodManifest | undefined {
  if (!isJsonObject(object)) return undefined;
  const { metadata, spec } = object;
  if (!isJsonObject(metadata) || !isJsonObject(spec)) return undefined;
  const { containers, initContainers, volumes, hostAliases } = spec;
  const isPod =
    isAbsentOr(isText, metadata['name']) &&
    isAbsentOr(isText, metadata['generateName']) &&
    isAbsentOr(isJsonObject, metadata['labels']) &&
    isAbsentOr(isJsonObject, metadata['annotations']) &&
    isAbsentOr(isJsonObject, spec['nodeSelector']) &&
    isAbsentOr(isJsonObject, spec['os']) &&
    isAbsentOr(isJsonObject, spec['resources']) &&
    isAbsentOr(isJsonObject, spec['securityContext']) &&
    isAbsentOr(isDnsConfig, spec['dnsConfig']) &&
    Array.isArray(containers) &&
    isListOf(isContainer, containers) &&
    isListOf(isContainer, initContainers) &&
    isListOf(isJsonObject, volumes) &&
    isListOf(isHostAlias, hostAliases);
  // every field whose wrong type would throw is checked; the API server encodes the others by its own types
  return isPod ? (object as unknown as PodManifest) : undefined;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isContainer(value: unknown): boolean {
  return (
    isJsonObject(value) &&
    isAbsentOr(Array.isArray, value['args']) &&
    isAbsentOr(isResources, value['resources']) &&
    isListOf(isJsonObject, value['env']) &&
    isListOf(isJsonObject, value['volumeMounts'])
  );
}

function isDnsConfig(value: unknown): boolean {
  return isJsonObject(value) && isAbsentOr(Array.isArray, value['searches']);
}

function isResources(value: unknown): boolean {
  return (
    isJsonObject(value) &&
    isAbsentOr(isJsonObject, value['requests']) &&
    isAbsentOr(isJsonObject, value['limits'])
  );
}

function isHostAlias(value: unknown): boolean {
  return isJsonObject(value) && isAbsentOr(Array.isArray, value['hostnames']);
}

function isListOf(isElement: (value: unknown) => boolean, value: unknown): boolean {
  return isAbsentOr((list) => Array.isArray(list) && list.every((element) => isElement(element)), value);
}

function isAbsentOr(isPresent: (value: unknown) => boolean, value: unknown): boolean {
  return value === undefined || value === null || isPresent(value);
}
