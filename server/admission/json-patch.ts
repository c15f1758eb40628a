export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** One operation of a JSON Patch, RFC 6902. */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

/**
 * The JSON Patch that makes `after` of `before`, empty where they are equal. It is narrow: whatever did not
 * change is not in it, so what other webhooks and newer API servers know of a Pod survives. Elements of a
 * list are the same one where Kubernetes says so: by `name`, or `ip` (hostAliases), else by their value.
 */
export function jsonPatch(before: Json, after: Json): JsonPatchOperation[] {
  return [...difference(before, after, '')];
}

function* difference(before: Json, after: Json, path: string): Iterable<JsonPatchOperation> {
  if (Array.isArray(before) && Array.isArray(after)) {
    yield* listDifference(before, after, path);
  } else if (isJsonObject(before) && isJsonObject(after)) {
    yield* objectDifference(before, after, path);
  } else if (before !== after) {
    yield { op: 'replace', path, value: after };
  }
}

function* objectDifference(
  before: JsonObject,
  after: JsonObject,
  path: string,
): Iterable<JsonPatchOperation> {
  for (const [key, value] of Object.entries(before)) {
    const next = Object.hasOwn(after, key) ? after[key] : undefined;
    if (next === undefined) yield { op: 'remove', path: `${path}/${escapeKey(key)}` };
    else yield* difference(value, next, `${path}/${escapeKey(key)}`);
  }
  for (const [key, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, key)) yield { op: 'add', path: `${path}/${escapeKey(key)}`, value };
  }
}

/** Walks both lists at once; an operation's index counts the operations before it, RFC 6902 section 3. */
function* listDifference(
  before: readonly Json[],
  after: readonly Json[],
  path: string,
): Iterable<JsonPatchOperation> {
  const left = before.map((value) => ({ value, identity: identityOf(value) }));
  for (const [index, value] of after.entries()) {
    const identity = identityOf(value);
    const position = left.findIndex((candidate) => candidate.identity === identity);
    if (position === -1) {
      yield { op: 'add', path: `${path}/${index}`, value };
      continue;
    }
    for (const _ of left.splice(0, position)) yield { op: 'remove', path: `${path}/${index}` };
    const same = left.shift();
    if (same !== undefined) yield* difference(same.value, value, `${path}/${index}`);
  }
  for (const _ of left) yield { op: 'remove', path: `${path}/${after.length}` };
}

function identityOf(value: Json): string {
  if (isJsonObject(value)) {
    for (const key of ['name', 'ip']) {
      if (typeof value[key] === 'string') return `${key} ${value[key]}`;
    }
  }
  return JSON.stringify(value);
}

/** RFC 6901 section 3. */
function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
