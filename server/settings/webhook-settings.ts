import type { InjectionSettings } from '../admission/injection-settings.ts';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import type { LogSettings } from '../telemetry/log.ts';

/** The settings of `webhook`, parsed and checked: past here nothing is checked again. */
export interface WebhookSettings extends LogSettings {
  readonly webhookPort: number;
  readonly healthPort: number;
  /** The mounted cert-manager Secret: tls.crt and tls.key. */
  readonly certificateDirectory: string;
  readonly kubeconfig: string | undefined;
  readonly injection: InjectionSettings;
  /** The ServiceAccount of `serve`, whose token requests are guarded. */
  readonly serverServiceAccount: ServiceAccountName;
  /** As in the settings of `serve`: which token a Node may ask for where the Node itself says nothing. */
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
}
