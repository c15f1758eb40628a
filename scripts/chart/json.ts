/** What JSON can say, and so what objects and values are made of. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value);
}

/** `Array.isArray` does not tell a readonly list from an object. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** What is at a path such as `settings.proxy.url`; undefined where nothing is. */
export function valueAt(value: Json, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((at, name) => (isObject(at) ? at[name] : undefined), value);
}

/** The same with something else at a path: a copy as far as it differs. */
export function withValueAt(value: JsonObject, path: string, leaf: Json): JsonObject {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...value, [name]: leaf };
  const inner = value[name];
  return { ...value, [name]: withValueAt(isObject(inner) ? inner : {}, rest.join('.'), leaf) };
}
