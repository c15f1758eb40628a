import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { registerProcessMetrics } from '../telemetry/process-metrics.ts';
import { INJECTION_KINDS, type InjectionKind } from './injection.ts';

/** The endpoint of a review. */
export type Webhook = 'pods' | 'token-requests';

/** `patched` is allowed with a change; `failed` is a temporary refusal; `malformed` was not a review. */
export type ReviewOutcome = 'allowed' | 'patched' | 'refused' | 'failed' | 'malformed';

/** What the routes report to the metrics. */
export interface AdmissionEvents {
  reviewed(webhook: Webhook, outcome: ReviewOutcome, seconds: number): void;
  /** A Pod got these credentials. */
  injected(kinds: readonly InjectionKind[]): void;
  /** A Pod was refused for what it asks of this injection. */
  injectionRefused(kind: InjectionKind): void;
}

const PREFIX = 'gke_metadata_server_webhook';

/** The metrics of the webhook. Labels come from the types above, never from a request. */
export class AdmissionMetrics implements AdmissionEvents {
  readonly #registry = new Registry();
  readonly #reviews: Counter<'webhook' | 'outcome'>;
  readonly #injections: Counter<'kind'>;
  readonly #refusedInjections: Counter<'kind'>;
  readonly #durations: Histogram<'webhook'>;
  readonly #certificateNotAfter: Gauge;

  constructor(version: string) {
    const registers = [this.#registry];
    registerProcessMetrics(this.#registry, version);
    this.#reviews = new Counter({
      name: `${PREFIX}_reviews_total`,
      help: 'Admission reviews, by webhook and outcome.',
      labelNames: ['webhook', 'outcome'],
      registers,
    });
    this.#injections = new Counter({
      name: `${PREFIX}_injections_total`,
      help: 'Reviews that gave a Pod credentials, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.#refusedInjections = new Counter({
      name: `${PREFIX}_injections_refused_total`,
      help: 'Reviews that refused a Pod for what it, its ServiceAccount or its Namespace asks for, by kind.',
      labelNames: ['kind'],
      registers,
    });
    // an increase is seen only from a value before it
    for (const kind of INJECTION_KINDS) {
      this.#injections.inc({ kind }, 0);
      this.#refusedInjections.inc({ kind }, 0);
    }
    this.#durations = new Histogram({
      name: `${PREFIX}_review_duration_seconds`,
      help: 'Duration of admission reviews, by webhook.',
      labelNames: ['webhook'],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    });
    this.#certificateNotAfter = new Gauge({
      name: `${PREFIX}_certificate_expiration_timestamp_seconds`,
      help: 'When the serving certificate expires, seconds since the Unix epoch.',
      registers,
    });
  }

  reviewed(webhook: Webhook, outcome: ReviewOutcome, seconds: number): void {
    this.#reviews.inc({ webhook, outcome });
    this.#durations.observe({ webhook }, seconds);
  }

  injected(kinds: readonly InjectionKind[]): void {
    for (const kind of kinds) this.#injections.inc({ kind });
  }

  injectionRefused(kind: InjectionKind): void {
    this.#refusedInjections.inc({ kind });
  }

  /** `notAfter`: milliseconds since the epoch. */
  certificateServed(notAfter: number): void {
    this.#certificateNotAfter.set(notAfter / 1000);
  }

  /** The text of `/metrics`, and its content type. */
  async exposition(): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
