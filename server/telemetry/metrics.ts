import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import type { CachedKind, DomainEvents, ExchangeKind, ExchangeResult, ThrottleReason } from './events.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { Histogram, RouteMetrics, type Sample } from './route-metrics.ts';

type WatchedResource = Parameters<DomainEvents['watchRestarted']>[0];
type RestartReason = Parameters<DomainEvents['watchRestarted']>[1];

const PREFIX = 'gke_metadata_server';

/** All metrics of `serve`. Labels come from this program's own tables, never from a request. */
export class Metrics implements DomainEvents {
  readonly #registry = new Registry();
  readonly #routes = new Map<string, RouteMetrics>();
  readonly #exchanges: Counter<'kind' | 'result'>;
  readonly #refusals: Counter<'reason'>;
  readonly #exchangeDurations = new Map<ExchangeKind, Histogram>();
  readonly #lookups = new Map<CachedKind, { hit: number; miss: number }>();
  readonly #watchRestarts: Counter<'resource' | 'reason'>;
  readonly #unreadableObjects: Counter<'resource'>;
  #cacheSize: () => number = () => 0;
  #clusterKeysChanged: boolean | undefined;

  constructor(version: string) {
    const registers = [this.#registry];
    this.#registerRequests();
    this.#registerCache();
    this.#registerClusterKeys();
    registerProcessMetrics(this.#registry, version);
    this.#exchanges = new Counter({
      name: `${PREFIX}_exchanges_total`,
      help: 'Token exchanges with Kubernetes and Google, by kind and result.',
      labelNames: ['kind', 'result'],
      registers,
    });
    this.#registerDurations(
      `${PREFIX}_exchange_duration_seconds`,
      'Duration of token exchanges in seconds, by kind.',
      (name) =>
        [...this.#exchangeDurations].flatMap(([kind, durations]) => durations.samples(name, { kind })),
    );
    this.#refusals = new Counter({
      name: `${PREFIX}_exchanges_throttled_total`,
      help: 'Token exchanges not started, by reason: a rate limit, too many in progress, or a back-off of the caller.',
      labelNames: ['reason'],
      registers,
    });
    this.#watchRestarts = new Counter({
      name: `${PREFIX}_watch_restarts_total`,
      help: 'Watches restarted, by resource and reason: ended by the API server, silent, expired (410) or failed.',
      labelNames: ['resource', 'reason'],
      registers,
    });
    this.#unreadableObjects = new Counter({
      name: `${PREFIX}_unreadable_objects_total`,
      help: 'Objects of lists and watches left out because they are unreadable, by resource.',
      labelNames: ['resource'],
      registers,
    });
  }

  /** The counters of one route template; the same object for the same template. */
  route(template: string): RouteMetrics {
    const known = this.#routes.get(template);
    if (known !== undefined) return known;
    const route = new RouteMetrics();
    this.#routes.set(template, route);
    return route;
  }

  /** Sets what a scrape calls for the number of cached tokens. */
  watchCacheSize(read: () => number): void {
    this.#cacheSize = read;
  }

  exchanged(kind: ExchangeKind, result: ExchangeResult, seconds: number): void {
    this.#exchanges.inc({ kind, result });
    const durations = this.#exchangeDurations.get(kind) ?? new Histogram();
    this.#exchangeDurations.set(kind, durations);
    durations.observe(seconds);
  }

  exchangeThrottled(reason: ThrottleReason): void {
    this.#refusals.inc({ reason });
  }

  cacheLookedUp(kind: CachedKind, outcome: 'hit' | 'miss'): void {
    const lookups = this.#lookups.get(kind);
    if (lookups !== undefined) lookups[outcome]++;
    else this.#lookups.set(kind, { hit: 0, miss: 0, [outcome]: 1 });
  }

  watchRestarted(resource: WatchedResource, reason: RestartReason): void {
    this.#watchRestarts.inc({ resource, reason });
  }

  objectUnreadable(resource: WatchedResource): void {
    this.#unreadableObjects.inc({ resource });
  }

  clusterKeysCompared(changed: boolean): void {
    this.#clusterKeysChanged = changed;
  }

  /** The text of `/metrics`, and its content type. */
  async exposition(): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #registerRequests(): void {
    const routes = this.#routes;
    new Counter({
      name: `${PREFIX}_http_requests_total`,
      help: 'Requests to the metadata API, by route template, method and status.',
      labelNames: ['route', 'method', 'status'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [route, metrics] of routes) {
          for (const { method, status, requests } of metrics.counts()) {
            this.inc({ route, method, status }, requests);
          }
        }
      },
    });
    this.#registerDurations(
      `${PREFIX}_http_request_duration_seconds`,
      'Duration of requests to the metadata API in seconds, by route template.',
      (name) => [...routes].flatMap(([route, { durations }]) => durations.samples(name, { route })),
    );
  }

  #registerCache(): void {
    const lookups = this.#lookups;
    const cacheSize = () => this.#cacheSize();
    new Counter({
      name: `${PREFIX}_cache_lookups_total`,
      help: 'Token cache lookups, by kind of token and outcome.',
      labelNames: ['kind', 'outcome'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [kind, { hit, miss }] of lookups) {
          this.inc({ kind, outcome: 'hit' }, hit);
          this.inc({ kind, outcome: 'miss' }, miss);
        }
      },
    });
    new Gauge({
      name: `${PREFIX}_cache_tokens`,
      help: 'Tokens in the cache.',
      registers: [this.#registry],
      collect() {
        this.set(cacheSize());
      },
    });
  }

  #registerClusterKeys(): void {
    const changed = () => this.#clusterKeysChanged;
    new Gauge({
      name: `${PREFIX}_cluster_jwks_changed`,
      help: '1 if the JWKS of the cluster changed since startup, else 0; absent until first read.',
      registers: [this.#registry],
      collect() {
        const known = changed();
        if (known === undefined) this.remove();
        else this.set(Number(known));
      },
    });
  }

  #registerDurations(name: string, help: string, samples: (name: string) => readonly Sample[]): void {
    const histogram = {
      name,
      help,
      type: 'histogram',
      get: async () => ({ name, help, type: 'histogram', values: samples(name) }),
    };
    // a registry calls nothing of a metric but `name` and `get`; the type asks for prom-client's own class
    this.#registry.registerMetric(histogram as unknown as Metric);
  }
}
