type Json = null | boolean | number | string | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json;
}

/** The JSON Patch operations (RFC 6902) that injections need. */
export type JsonPatchOperation =
  | { readonly op: 'add'; readonly path: string; readonly value: unknown }
  | { readonly op: 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Escapes a key of an object for a JSON Pointer, RFC 6901 section 3. */
function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value has all fields of another, with the same values. */
function hasAllOf(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(value) &&
      value.length === wanted.length &&
      wanted.every((element, index) => hasAllOf(value[index], element))
    );
  }
  if (!isJsonObject(wanted)) return value === wanted;
  return (
    isJsonObject(value) && Object.entries(wanted).every(([key, element]) => hasAllOf(value[key], element))
  );
}

type Absent = null | undefined;

/** A map of a Pod, such as its labels, and its changes. Never modifies the original. */
export class MapEditor {
  readonly #changes = new Map<string, string | undefined>();

  constructor(private readonly original: Readonly<Record<string, string>> | Absent) {}

  /** The keys of the original map, without those that were added. */
  get originalKeys(): readonly string[] {
    return Object.keys(this.original ?? {});
  }

  get(key: string): string | undefined {
    if (this.#changes.has(key)) return this.#changes.get(key);
    return this.#originalValue(key);
  }

  set(key: string, value: string): void {
    this.#changes.set(key, value);
  }

  remove(key: string): void {
    this.#changes.set(key, undefined);
  }

  /** The operations that apply the changes to the map at `path`; none for a key whose value is unchanged. */
  *operations(path: string): Generator<JsonPatchOperation> {
    const changes = [...this.#changes].filter(([key, value]) => value !== this.#originalValue(key));
    if (this.original === undefined || this.original === null) {
      if (changes.length > 0) yield { op: 'add', path, value: Object.fromEntries(changes) };
      return;
    }
    for (const [key, value] of changes) {
      const at = `${path}/${escapeKey(key)}`;
      yield value === undefined ? { op: 'remove', path: at } : { op: 'add', path: at, value };
    }
  }

  #originalValue(key: string): string | undefined {
    const { original } = this;
    return original !== undefined && original !== null && Object.hasOwn(original, key)
      ? original[key]
      : undefined;
  }
}

/** A list of a Pod, such as its volumes, and its additions. Never modifies the original. */
export class ListEditor<T> {
  readonly #before: T[] = [];
  readonly #after: T[] = [];
  /** By the index of the original element. */
  readonly #replaced = new Map<number, T>();

  constructor(private readonly original: readonly T[] | Absent) {}

  /** All elements: those added before, the original ones, those added after. */
  *[Symbol.iterator](): Generator<T> {
    yield* this.#before;
    for (const [index, element] of (this.original ?? []).entries()) {
      yield this.#replaced.get(index) ?? element;
    }
    yield* this.#after;
  }

  find(isWanted: (element: T) => boolean): T | undefined {
    for (const element of this) if (isWanted(element)) return element;
    return undefined;
  }

  /** Replaces an element, where it is, unless it differs only in fields that `by` does not have: defaults. */
  replace(element: T, by: T): void {
    if (hasAllOf(element, by)) return;
    const index = [...(this.original ?? [])].findIndex(
      (original, at) => (this.#replaced.get(at) ?? original) === element,
    );
    if (index >= 0) {
      this.#replaced.set(index, by);
      return;
    }
    for (const added of [this.#before, this.#after]) {
      const at = added.indexOf(element);
      if (at >= 0) added[at] = by;
    }
  }

  /** Adds an element before the original ones, after those added there earlier. */
  addBefore(element: T): void {
    this.#before.push(element);
  }

  addAfter(element: T): void {
    this.#after.push(element);
  }

  /** The operations that add the elements to the list at `path`, one by one, or the whole list if it is absent. */
  *operations(path: string): Generator<JsonPatchOperation> {
    const { original } = this;
    if (original === undefined || original === null) {
      const value = [...this];
      if (value.length > 0) yield { op: 'add', path, value };
      return;
    }
    // those first that change no index
    for (const [index, value] of this.#replaced) yield { op: 'replace', path: `${path}/${index}`, value };
    for (const [index, value] of this.#before.entries()) yield { op: 'add', path: `${path}/${index}`, value };
    let end = this.#before.length + original.length;
    for (const value of this.#after) yield { op: 'add', path: `${path}/${end++}`, value };
  }
}
