// Seconds: from the duration of a cached response to the patience of the most patient client.
const BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** One line of a scrape. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus histogram of plain numbers, so an observation costs nanoseconds. */
export class Histogram {
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

// a method from outside this list is counted as OTHER: a label never repeats what a caller sent
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const OTHER = 'other';

interface Count {
  readonly method: string;
  readonly status: number;
  requests: number;
}

/**
 * The requests of one route template. prom-client hashes the labels at each call, which costs more than
 * the cached response itself: here a request finds its counter by two lookups, and a scrape builds the labels.
 */
export class RouteMetrics {
  readonly durations = new Histogram();
  readonly #byMethod = new Map<string, Map<number, Count>>();

  record(method: string, status: number, seconds: number): void {
    const count = this.#byMethod.get(method)?.get(status) ?? this.#count(method, status);
    count.requests++;
    this.durations.observe(seconds);
  }

  *counts(): Iterable<Readonly<Count>> {
    for (const byStatus of this.#byMethod.values()) yield* byStatus.values();
  }

  #count(sent: string, status: number): Count {
    const method = METHODS.has(sent) ? sent : OTHER;
    const byStatus = this.#byMethod.get(method) ?? new Map<number, Count>();
    this.#byMethod.set(method, byStatus);
    const count = byStatus.get(status) ?? { method, status, requests: 0 };
    byStatus.set(status, count);
    return count;
  }
}
