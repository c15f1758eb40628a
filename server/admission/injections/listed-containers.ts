import { escaped } from '../../core/printable.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';
import { containersOfThePod } from './own-containers.ts';

/** Names and characters of a name that a warning shows. */
const MOST_NAMES = 3;
const SHOWN = 63;

/**
 * The names of containers that the Pod's annotation `key` lists, of which it warns if no container has them.
 */
export function listedContainers(pod: PodEditor, key: string, names: readonly string[]): ReadonlySet<string> {
  const known = new Set(pod.allContainers.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const shown = unknown.slice(0, MOST_NAMES).map((name) => escaped(name, SHOWN));
    pod.warn(`the annotation ${key} names containers that the Pod does not have: ${shown.join(', ')}`);
  }
  return new Set(names);
}

/** The containers of the Pod but those that its annotation `key` lists, separated by `separator` and white space. */
export function containersNotSkipped(
  pod: PodEditor,
  key: string,
  separator: ',' | ';',
): readonly ContainerEditor[] {
  const names = (pod.annotations.get(key) ?? '').split(separator).map((name) => name.trim());
  const skipped = listedContainers(
    pod,
    key,
    names.filter((name) => name !== ''),
  );
  return containersOfThePod(pod).filter(({ name }) => !skipped.has(name));
}
