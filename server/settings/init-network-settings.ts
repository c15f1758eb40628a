import { Command } from '@commander-js/extra-typings';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { LogSettings } from '../telemetry/log.ts';
import { flag, logFormatFlag, logLevelFlag, nodeServerPortFlag, type Parsed, podUIDFlag } from './flags.ts';
import { parseBoolean, parseDurationBetween, parseIPAddresses } from './parsers.ts';

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
  /** Whether the address of AWS's container credentials is redirected too. */
  readonly containerCredentials: boolean;
  readonly timeoutSeconds: number;
}

/** A command with the flags of `init-network`: flag, variable, text, type, default. */
export function initNetworkCommandOf(name: string) {
  return (
    new Command(name)
      .addOption(
        flag('--host-ips <addresses>', 'HOST_IPS', "the Node's addresses, comma-separated (status.hostIPs)")
          .argParser(parseIPAddresses)
          .makeOptionMandatory(),
      )
      .addOption(
        flag('--pod-ips <addresses>', 'POD_IPS', "this Pod's addresses, comma-separated (status.podIPs)")
          .argParser(parseIPAddresses)
          .makeOptionMandatory(),
      )
      .addOption(podUIDFlag())
      .addOption(nodeServerPortFlag())
      .addOption(
        flag(
          '--redirect <boolean>',
          'REDIRECT',
          "redirect the metadata addresses; if false, only wait for the server at the Node's first address",
        )
          .argParser(parseBoolean)
          .default(true),
      )
      .addOption(
        flag(
          '--container-credentials <boolean>',
          'CONTAINER_CREDENTIALS',
          "redirect the address of AWS's container credentials (EKS Pod Identity) too",
        )
          .argParser(parseBoolean)
          .default(false),
      )
      // a new Node pulls the server's image while its first Pods start
      .addOption(
        flag('--timeout <duration>', 'TIMEOUT', 'how long to wait for the server, 1s to 1h')
          .argParser(parseDurationBetween(1, 3600))
          .default(180, '3m'),
      )
      .addOption(logLevelFlag())
      .addOption(logFormatFlag())
  );
}

type InitNetworkValues = ReturnType<ReturnType<typeof initNetworkCommandOf>['opts']>;

/** The settings of a parsed command line and environment. */
export function initNetworkSettings(command: Parsed<InitNetworkValues>): InitNetworkSettings {
  const options = command.opts();
  return {
    hostAddresses: options.hostIps,
    podAddresses: options.podIps,
    podUID: options.podUid,
    serverPort: options.serverPort,
    redirects: options.redirect,
    containerCredentials: options.containerCredentials,
    timeoutSeconds: options.timeout,
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}
