/** A token exchange, as the metrics count it. */
export type ExchangeKind = 'token-request' | 'sts' | 'access-token' | 'id-token' | 'entra' | 'aws-sts';

/** `refused` is permanent (4xx), `unavailable` is transient (no response, 429, 5xx). */
export type ExchangeResult = 'ok' | 'refused' | 'unavailable';

export type CachedKind = 'federated-token' | 'access-token' | 'id-token' | 'azure-token' | 'aws-credentials';

/**
 * Why an exchange was not started: the Pod's rate, the rate of all Pods of the Node, too many in progress, or the
 * caller's back-off while the cloud fails.
 */
export type ThrottleReason = 'pod-rate' | 'node-rate' | 'running' | 'backing-off';

/** What domain code reports to the metrics; telemetry/metrics.ts implements it. */
export interface DomainEvents {
  exchanged(kind: ExchangeKind, result: ExchangeResult, seconds: number): void;
  exchangeThrottled(reason: ThrottleReason): void;
  cacheLookedUp(kind: CachedKind, outcome: 'hit' | 'miss'): void;
  /**
   * `reason`: the API server ended it, it was silent for minutes, its version expired (410), or it failed.
   */
  watchRestarted(resource: 'pods' | 'nodes', reason: 'ended' | 'silent' | 'expired' | 'failed'): void;
  /** An object of a list or a watch was left out because it is unreadable. */
  objectUnreadable(resource: 'pods' | 'nodes'): void;
  /** Whether the cluster's public keys changed since startup. */
  clusterKeysCompared(changed: boolean): void;
}
