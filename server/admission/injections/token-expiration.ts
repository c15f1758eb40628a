import type { ServiceAccount } from '../../kubernetes/objects.ts';
import type { PodEditor } from '../pod-editor.ts';
import { type Form, readEither } from './annotations.ts';

/** Seconds: the most that Kubernetes accepts as `expirationSeconds` of a projected token. */
export const LONGEST_EXPIRATION = 2 ** 32;

/** Whether it is a whole number of seconds, and not too many. */
export function isExpiration(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) <= LONGEST_EXPIRATION;
}

/**
 * Seconds: by the annotation `key` of the Pod, or else of its ServiceAccount, or else `otherwise`. Fewer than `least` are
 * raised to it, with a warning.
 */
export function raisedExpiration(
  pod: PodEditor,
  serviceAccount: ServiceAccount,
  { key, otherwise, least }: { readonly key: string; readonly otherwise: number; readonly least: number },
): number {
  const form: Form<number> = {
    parse: parseSeconds,
    expected: `a number of seconds between ${least} and ${LONGEST_EXPIRATION}`,
  };
  const seconds = readEither(pod, serviceAccount, key, form) ?? otherwise;
  if (seconds >= least) return seconds;
  pod.warn(`a token expiration of ${seconds} s is raised to ${least} s, the least that ${key} allows`);
  return least;
}

function parseSeconds(text: string): number | undefined {
  const seconds = /^\s*[+-]?[0-9]+\s*$/.test(text) ? Number(text) : undefined;
  return isExpiration(seconds) ? seconds : undefined;
}
