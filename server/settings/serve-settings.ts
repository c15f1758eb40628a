import { Command } from '@commander-js/extra-typings';
import type { AwsSettings } from '../aws/role-credentials.ts';
import type { AzureSettings } from '../azure/azure-tokens.ts';
import type { ExchangeLimitsSettings } from '../credentials/exchange-limits.ts';
import type { GoogleTokensSettings } from '../google/google-tokens.ts';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import type { InstanceSettings } from '../metadata/facts.ts';
import type { LogSettings } from '../telemetry/log.ts';
import { awsSettingsOf, withAwsServeFlags } from './aws-serve-settings.ts';
import { azureSettingsOf, withAzureServeFlags } from './azure-serve-settings.ts';
import {
  defaultNodeNameFlag,
  defaultNodeNamespaceFlag,
  defaultNodeServiceAccountOf,
  flag,
  googleEndpointsOf,
  iamCredentialsEndpointFlag,
  kubeconfigFlag,
  logFormatFlag,
  logLevelFlag,
  type Parsed,
  requireDistinctPorts,
  stsEndpointFlag,
  universeDomainFlag,
} from './flags.ts';
import {
  parseBoolean,
  parseCount,
  parseDurationBetween,
  parseName,
  parseObjectName,
  parseOptionalName,
  parsePort,
  parseProvider,
} from './parsers.ts';

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
  /** Identity of host-network Pods if the Node itself does not name one. */
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
  /** Undefined: no Pod has an Azure identity. */
  readonly azure: AzureSettings | undefined;
  /** Undefined: no Pod has an AWS role. */
  readonly aws: AwsSettings | undefined;
}

/** A command with the flags of `serve`: flag, variable, text, type, default. */
export function serveCommandOf(name: string) {
  return withAzureServeFlags(
    withAwsServeFlags(
      new Command(name)
        .addOption(
          flag('--node-name <name>', 'NODE_NAME', 'the Node this server runs on')
            .argParser(parseObjectName)
            .makeOptionMandatory(),
        )
        .addOption(
          flag('--project-id <id>', 'PROJECT_ID', 'ID of the Google Cloud project that is reported to Pods')
            .argParser(parseName)
            .makeOptionMandatory(),
        )
        .addOption(
          flag(
            '--workload-identity-provider <name>',
            'WORKLOAD_IDENTITY_PROVIDER',
            'projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER',
          )
            .argParser(parseProvider)
            .makeOptionMandatory(),
        )
        .addOption(
          flag('--server-port <port>', 'SERVER_PORT', 'port of the metadata API')
            .argParser(parsePort)
            .default(16_321),
        )
        .addOption(
          flag('--health-port <port>', 'HEALTH_PORT', 'port of /healthz, /readyz and /metrics')
            .argParser(parsePort)
            .default(16_322),
        )
        .addOption(kubeconfigFlag())
        .addOption(defaultNodeNameFlag())
        .addOption(defaultNodeNamespaceFlag())
        .addOption(
          flag('--cache-tokens <boolean>', 'CACHE_TOKENS', 'cache tokens and refresh them before expiry')
            .argParser(parseBoolean)
            .default(true),
        )
        .addOption(
          flag(
            '--cache-tokens-per-pod <boolean>',
            'CACHE_TOKENS_PER_POD',
            'cache tokens per Pod instead of per ServiceAccount',
          )
            .argParser(parseBoolean)
            .default(false),
        )
        // a token is served only with 5 minutes left, so it needs 10; Google refuses more than 12 hours
        .addOption(
          flag(
            '--cache-max-token-duration <duration>',
            'CACHE_MAX_TOKEN_DURATION',
            'maximum lifetime of a token, 10m to 12h',
          )
            .argParser(parseDurationBetween(600, 43_200))
            .default(3600, '1h'),
        )
        .addOption(
          flag(
            '--pod-exchanges-per-minute <number>',
            'POD_EXCHANGES_PER_MINUTE',
            'new tokens per minute for one Pod; half as many in a burst',
          )
            .argParser(parseCount)
            .default(60),
        )
        .addOption(
          flag(
            '--node-exchanges-per-minute <number>',
            'NODE_EXCHANGES_PER_MINUTE',
            'new tokens per minute for all Pods of the Node; half as many in a burst',
          )
            .argParser(parseCount)
            .default(600),
        )
        .addOption(stsEndpointFlag())
        .addOption(iamCredentialsEndpointFlag())
        .addOption(universeDomainFlag())
        .addOption(
          flag(
            '--cluster-name <name>',
            'CLUSTER_NAME',
            "instance/attributes/cluster-name (default: the provider's ID, the last part of its name)",
          )
            .argParser(parseOptionalName)
            .default(''),
        )
        .addOption(
          flag(
            '--cluster-location <location>',
            'CLUSTER_LOCATION',
            "zone or region (default: the Node's topology labels)",
          )
            .argParser(parseOptionalName)
            .default(''),
        )
        .addOption(logLevelFlag())
        .addOption(logFormatFlag()),
    ),
  );
}

type ServeValues = ReturnType<ReturnType<typeof serveCommandOf>['opts']>;

/** The settings of a parsed command line and environment. A contradiction ends the command, as bad use. */
export function serveSettings(command: Parsed<ServeValues>): ServeSettings {
  const options = command.opts();
  const defaultNodeServiceAccount = defaultNodeServiceAccountOf(command);
  requireDistinctPorts(command, '--server-port', options.serverPort, options.healthPort);
  return {
    nodeName: options.nodeName,
    projectID: options.projectId,
    workloadIdentityProvider: options.workloadIdentityProvider,
    serverPort: options.serverPort,
    healthPort: options.healthPort,
    kubeconfig: options.kubeconfig,
    defaultNodeServiceAccount,
    cacheTokens: options.cacheTokens,
    cacheTokensPerPod: options.cacheTokensPerPod,
    cacheMaxTokenDurationSeconds: options.cacheMaxTokenDuration,
    podExchangesPerMinute: options.podExchangesPerMinute,
    nodeExchangesPerMinute: options.nodeExchangesPerMinute,
    ...googleEndpointsOf(options),
    universeDomain: options.universeDomain,
    clusterName: options.clusterName || options.workloadIdentityProvider.provider,
    clusterLocation: options.clusterLocation,
    aws: awsSettingsOf(command),
    azure: azureSettingsOf(options),
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}
