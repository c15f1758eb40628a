import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { LogSettings } from '../telemetry/log.ts';

/** The settings of `init-network`, parsed and checked. */
export interface InitNetworkSettings extends LogSettings {
  /** `status.hostIPs` and `status.podIPs` of the Pod it runs in. */
  readonly hostAddresses: readonly IPAddress[];
  readonly podAddresses: readonly IPAddress[];
  /** Its `metadata.uid`. */
  readonly podUID: string;
  /** Port of the metadata API on the Node. */
  readonly serverPort: number;
  /** Whether it redirects the metadata addresses, or only waits. */
  readonly redirects: boolean;
  readonly timeoutSeconds: number;
}
