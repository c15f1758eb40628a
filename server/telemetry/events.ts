/** A step towards a token, as the metrics count it. */
export type ExchangeKind = 'token-request' | 'sts' | 'access-token' | 'id-token';

/** `refused` is permanent (4xx), `unavailable` is transient (no answer, 429, 5xx). */
export type ExchangeResult = 'ok' | 'refused' | 'unavailable';

export type CachedKind = 'federated-token' | 'access-token' | 'id-token';

/**
 * Why no exchange was begun: the Pod's rate, that of all Pods of the Node, too many running, or the caller's back-off
 * while the cloud fails.
 */
export type ThrottleReason = 'pod-rate' | 'node-rate' | 'running' | 'backing-off';

/** What domain code tells the metrics; telemetry/metrics.ts is the real receiver. */
export interface DomainEvents {
  exchanged(kind: ExchangeKind, result: ExchangeResult, seconds: number): void;
  exchangeThrottled(reason: ThrottleReason): void;
  cacheLookedUp(kind: CachedKind, outcome: 'hit' | 'miss'): void;
  /**
   * `reason`: the server ended it in its time, nothing was heard for minutes, its version had expired (410), or it
   * failed.
   */
  watchRestarted(resource: 'pods' | 'nodes', reason: 'ended' | 'silent' | 'expired' | 'failed'): void;
  /** An object of a list or a watch was left out, because it cannot be read. */
  objectUnreadable(resource: 'pods' | 'nodes'): void;
  /** Whether the cluster's public keys are others than at the start of this program. */
  clusterKeysCompared(changed: boolean): void;
}
