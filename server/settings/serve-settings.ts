import type { ExchangeLimitsSettings } from '../credentials/exchange-limits.ts';
import type { GoogleTokensSettings } from '../google/google-tokens.ts';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import type { InstanceSettings } from '../metadata/facts.ts';
import type { LogSettings } from '../telemetry/log.ts';

/** The settings of `serve`, parsed and checked: past here nothing is checked again. */
export interface ServeSettings
  extends GoogleTokensSettings,
    ExchangeLimitsSettings,
    InstanceSettings,
    LogSettings {
  readonly serverPort: number;
  readonly healthPort: number;
  /** A kubeconfig file; undefined: in-cluster, then KUBECONFIG, then ~/.kube/config. */
  readonly kubeconfig: string | undefined;
  /** Who host-network Pods are where the Node itself says nothing. */
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
}
