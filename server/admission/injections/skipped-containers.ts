import { escaped } from '../../core/printable.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';
import { containersOfThePod } from './own-containers.ts';

/** Names and characters of a name that a warning shows. */
const MOST_NAMES = 3;
const SHOWN = 63;

/**
 * The containers of the Pod but those whose names are in its annotation `key`, separated by `separator` and white space.
 * Warns of names that no container has.
 */
export function containersNotSkipped(
  pod: PodEditor,
  key: string,
  separator: ',' | ';',
): readonly ContainerEditor[] {
  const names = (pod.annotations.get(key) ?? '').split(separator).map((name) => name.trim());
  const skipped = new Set(names.filter((name) => name !== ''));
  const known = new Set(pod.allContainers.map(({ name }) => name));
  const unknown = [...skipped].filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const shown = unknown.slice(0, MOST_NAMES).map((name) => escaped(name, SHOWN));
    pod.warn(`the annotation ${key} names containers that the Pod does not have: ${shown.join(', ')}`);
  }
  return containersOfThePod(pod).filter(({ name }) => !skipped.has(name));
}
