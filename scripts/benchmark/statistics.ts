/** The middle value, or the mean of the two in the middle. Throws if there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error('The median of no values');
  return (lower + upper) / 2;
}

/** The smallest value that `percent` of the values do not exceed (nearest rank). Throws if there is none. */
export function percentile(values: ArrayLike<number>, percent: number): number {
  const sorted = Float64Array.from(values).sort();
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  const value = sorted[rank - 1];
  if (value === undefined) throw new Error('A percentile of no values');
  return value;
}

/**
 * How much of `base` the values are, as the median of the ratios of runs that followed each other: what slows
 * the machine for a while slows both, while a ratio of two medians would compare different moments.
 */
export function ratioOfPairs(values: readonly number[], base: readonly number[]): number {
  if (values.length !== base.length) throw new Error(`${values.length} runs against ${base.length}`);
  return median(values.map((value, index) => value / (base[index] ?? Number.NaN)));
}
