import { Durations } from './durations.ts';

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
 * a cached answer itself: here a request finds its counter by two look-ups, and a scrape builds the labels.
 */
export class RouteMetrics {
  readonly durations = new Durations();
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
