import type { Json, JsonPatchOperation } from '../json-patch.ts';

/** What an API server makes of a document by a JSON Patch: RFC 6902, for the operations that are used here. */
export function applyJsonPatch(document: Json, patch: readonly JsonPatchOperation[]): Json {
  return patch.reduce(applied, document);
}

function applied(document: Json, operation: JsonPatchOperation): Json {
  const keys = operation.path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (keys.length === 0) {
    if (operation.op !== 'replace') throw new Error(`${operation.op} of the whole document`);
    return operation.value;
  }
  // a copy is changed, which the caller cannot see
  const copy = structuredClone(document) as Mutable;
  const last = keys.pop() ?? '';
  let parent: Mutable = copy;
  for (const key of keys) {
    const child = Array.isArray(parent) ? parent[Number(key)] : (parent as MutableObject)[key];
    if (typeof child !== 'object' || child === null) throw new Error(`${operation.path}: no parent`);
    parent = child;
  }
  if (Array.isArray(parent)) {
    const index = Number(last);
    const bound = operation.op === 'add' ? parent.length : parent.length - 1;
    if (!/^(0|[1-9][0-9]*)$/.test(last) || index > bound) throw new Error(`${operation.path}: no such index`);
    parent.splice(
      index,
      operation.op === 'add' ? 0 : 1,
      ...(operation.op === 'remove' ? [] : [operation.value]),
    );
  } else {
    const object = parent as MutableObject;
    if (operation.op !== 'add' && !Object.hasOwn(object, last)) throw new Error(`${operation.path}: missing`);
    if (operation.op === 'remove') delete object[last];
    else object[last] = structuredClone(operation.value) as Mutable;
  }
  return copy as Json;
}

type MutableObject = { [key: string]: Mutable };
type Mutable = Json | Mutable[] | MutableObject;
