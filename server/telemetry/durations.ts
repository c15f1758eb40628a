// Seconds: from what a cached answer takes to what the most patient client waits for.
const BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** One line of a scrape. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Durations as a Prometheus histogram, kept as plain numbers so that an observation costs nanoseconds. */
export class Durations {
  // one more than there are bounds: what is above them all
  readonly #counts = new Float64Array(BOUNDS.length + 1);
  #sum = 0;

  observe(seconds: number): void {
    let index = 0;
    while (seconds > (BOUNDS[index] ?? Number.POSITIVE_INFINITY)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += seconds;
  }

  /** What a scrape shows of the histogram `name`: cumulative buckets, sum and count. */
  samples(name: string, labels: Readonly<Record<string, string>>): readonly Sample[] {
    const samples: Sample[] = [];
    let count = 0;
    for (const [index, observed] of this.#counts.entries()) {
      count += observed;
      const le = String(BOUNDS[index] ?? '+Inf');
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
    }
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    samples.push({ metricName: `${name}_count`, labels, value: count });
    return samples;
  }
}
