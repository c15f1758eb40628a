import { isJsonObject, type JsonObject } from './json-patch.ts';

/**
 * The fields of a Pod that injections read and write. Whatever else its JSON holds goes along untouched: it
 * comes from an API server that may be newer than this program. Go spells an empty list or map `null` at times.
 */
export interface PodManifest {
  metadata: {
    labels?: Record<string, string> | null;
    annotations?: Record<string, string> | null;
  };
  spec: {
    containers: Container[];
    initContainers?: Container[] | null;
    hostAliases?: HostAlias[] | null;
    nodeSelector?: Record<string, string> | null;
    serviceAccountName?: string;
    hostNetwork?: boolean;
    os?: { name: string } | null;
  };
}

export interface Container {
  name: string;
  env?: EnvironmentVariable[] | null;
  [field: string]: unknown;
}

export interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: { fieldRef: { fieldPath: string } };
}

export interface HostAlias {
  ip: string;
  hostnames?: string[] | null;
}

/** The Pod of a review, or undefined where the object is none. */
export function readPod(object: unknown): JsonObject | undefined {
  if (!isJsonObject(object)) return undefined;
  const { metadata, spec } = object;
  if (!isJsonObject(metadata) || !isJsonObject(spec)) return undefined;
  const { containers } = spec;
  return Array.isArray(containers) ? object : undefined;
}

/** A copy of a Pod that {@link readPod} has found, to change. */
export function editablePod(pod: JsonObject): PodManifest {
  // an API server sends what it has decoded by its own types: below the fields just checked they are what these say
  return structuredClone(pod) as unknown as PodManifest;
}
