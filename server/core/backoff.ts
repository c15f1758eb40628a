import type { Random } from './effects.ts';

/**
 * Milliseconds to wait after the `failures`-th failure in a row: `first`, doubled each time up to `most`,
 * and half to one and a half times that, so that those who failed together do not come back together.
 */
export function backoff(failures: number, first: number, most: number, random: Random): number {
  return Math.min(most, first * 2 ** (failures - 1)) * (0.5 + random());
}
