import type { Kind, KubernetesObject, ObjectOfKind } from './objects.ts';
import { Refusal, status } from './status.ts';

/** One write: an object that came (no `previous`), changed, or went (no `current`). */
export interface Change {
  readonly kind: Kind;
  readonly resourceVersion: number;
  readonly previous: KubernetesObject | undefined;
  readonly current: KubernetesObject | undefined;
}

// etcd is compacted every five minutes; this many changes have the same effect without compact()
const HISTORY = 10_000;

/** What etcd is to the API server: objects, one version number for all writes, and a history that is cut off. */
export class ObjectStore {
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #history: Change[] = [];
  readonly #listeners = new Set<(change: Change) => void>();
  #resourceVersion = 1000;
  #compactedAt = 1000;

  get resourceVersion(): number {
    return this.#resourceVersion;
  }

  /** Creates or replaces; returns the object with its new resourceVersion. */
  put<O extends KubernetesObject>(object: O): O {
    const key = keyOf(object.kind, object.metadata.namespace, object.metadata.name);
    const previous = this.#objects.get(key);
    this.#resourceVersion += 1;
    const current = withVersion(object, this.#resourceVersion);
    if (previous !== undefined && previous.metadata.uid !== current.metadata.uid) {
      // the same name with another UID: the API server saw it deleted, then created
      this.#commit({ kind: object.kind, previous, current: undefined });
      this.#resourceVersion += 1;
      return this.#insert(key, withVersion(object, this.#resourceVersion), undefined);
    }
    return this.#insert(key, current, previous);
  }

  /** False if there is no such object. */
  delete(object: KubernetesObject): boolean {
    const key = keyOf(object.kind, object.metadata.namespace, object.metadata.name);
    const previous = this.#objects.get(key);
    if (previous === undefined) return false;
    this.#objects.delete(key);
    this.#resourceVersion += 1;
    this.#commit({ kind: object.kind, previous, current: undefined });
    return true;
  }

  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): ObjectOfKind[K] | undefined {
    // the key holds the kind, so the object is of it
    return this.#objects.get(keyOf(kind, namespace, name)) as ObjectOfKind[K] | undefined;
  }

  list(kind: Kind): readonly KubernetesObject[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind);
  }

  /** The changes after a version, oldest first; undefined if that version is compacted away. */
  changesSince(kind: Kind, resourceVersion: number): readonly Change[] | undefined {
    if (resourceVersion < this.#compactedAt) return undefined;
    return this.#history.filter((change) => change.kind === kind && change.resourceVersion > resourceVersion);
  }

  /** Forgets the history: every version before this moment's is expired. */
  compact(): void {
    // a write that concerns nobody, so that even a reader who is up to date has an old version
    this.#resourceVersion += 1;
    this.#history.length = 0;
    this.#compactedAt = this.#resourceVersion;
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #insert<O extends KubernetesObject>(key: string, current: O, previous: KubernetesObject | undefined): O {
    this.#objects.set(key, current);
    this.#commit({ kind: current.kind, previous, current });
    return current;
  }

  #commit(change: Omit<Change, 'resourceVersion'>): void {
    const committed = { ...change, resourceVersion: this.#resourceVersion };
    this.#history.push(committed);
    const oldest = this.#history.length > HISTORY ? this.#history.shift() : undefined;
    if (oldest !== undefined) this.#compactedAt = oldest.resourceVersion;
    for (const listener of this.#listeners) listener(committed);
  }
}

/** The object as of a version: a deletion's event too carries the version of the deletion. */
export function withVersion<O extends KubernetesObject>(object: O, resourceVersion: number): O {
  return { ...object, metadata: { ...object.metadata, resourceVersion: `${resourceVersion}` } };
}

function keyOf(kind: Kind, namespace: string | undefined, name: string): string {
  return `${kind}/${namespace ?? ''}/${name}`;
}

export type Matches = (object: KubernetesObject) => boolean;

// the API server's field labels that a Node's server uses
const FIELDS = new Map<string, (object: KubernetesObject) => string>([
  ['metadata.name', (object) => object.metadata.name],
  ['metadata.namespace', (object) => object.metadata.namespace ?? ''],
  ['spec.nodeName', (object) => (object.kind === 'Pod' ? (object.spec.nodeName ?? '') : '')],
  ['status.phase', (object) => (object.kind === 'Pod' ? object.status.phase : '')],
]);
const POD_FIELDS = new Set(['spec.nodeName', 'status.phase']);

/**
 * `a=b,c!=d` as a predicate. Throws the API server's 400 for an unsupported field, rather than matching everything.
 */
export function parseFieldSelector(kind: string, selector: string | null): Matches {
  if (selector === null || selector === '') return () => true;
  const terms = selector.split(',').map((term) => parseTerm(kind, term));
  return (object) => terms.every((matches) => matches(object));
}

function parseTerm(kind: string, term: string): Matches {
  const parsed = /^(?<field>[^=!]+)(?<operator>!=|==?)(?<value>.*)$/.exec(term)?.groups;
  if (parsed === undefined) {
    throw new Refusal(status(400, `invalid selector: '${term}'; can't understand '${term}'`));
  }
  const { field = '', operator, value } = parsed;
  const read = FIELDS.get(field);
  if (read === undefined || (POD_FIELDS.has(field) && kind !== 'Pod')) {
    throw new Refusal(status(400, `field label not supported: ${field}`));
  }
  return operator === '!=' ? (object) => read(object) !== value : (object) => read(object) === value;
}
