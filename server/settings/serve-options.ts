import { type Command, Option } from 'commander';
import type { WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import {
  parseBaseUrl,
  parseBoolean,
  parseCount,
  parseDomain,
  parseDurationBetween,
  parseName,
  parseObjectName,
  parseOptionalName,
  parseOptionalObjectName,
  parsePort,
  parseProvider,
} from './parsers.ts';
import type { ServeSettings } from './serve-settings.ts';

/** What commander has after each parser below has run. */
interface ServeOptionValues {
  nodeName: string;
  projectId: string;
  workloadIdentityProvider: WorkloadIdentityProvider;
  serverPort: number;
  healthPort: number;
  kubeconfig?: string;
  defaultNodeServiceAccountName: string;
  defaultNodeServiceAccountNamespace: string;
  cacheTokens: boolean;
  cacheTokensPerPod: boolean;
  cacheMaxTokenDuration: number;
  podExchangesPerMinute: number;
  nodeExchangesPerMinute: number;
  googleStsEndpoint?: string;
  googleIamCredentialsEndpoint?: string;
  universeDomain: string;
  clusterName: string;
  clusterLocation: string;
  logLevel: LogLevel;
  logFormat: LogFormat;
}

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const LOG_FORMATS: readonly LogFormat[] = ['json', 'text'];

/** `--log-level` and `--log-format`, which every long-running command has. */
export function logOptions(): Option[] {
  return [
    new Option('--log-level <level>', 'the least severe message to log')
      .env('LOG_LEVEL')
      .choices(LOG_LEVELS)
      .default('info'),
    new Option('--log-format <format>', 'how a log line is written')
      .env('LOG_FORMAT')
      .choices(LOG_FORMATS)
      .default('json'),
  ];
}

/** The flags of `serve`, each with its environment variable. */
export function serveOptions(): Option[] {
  return [
    new Option('--node-name <name>', 'the Node this server runs on')
      .env('NODE_NAME')
      .argParser(parseObjectName)
      .makeOptionMandatory(),
    new Option('--project-id <id>', 'the Google Cloud project that Pods see')
      .env('PROJECT_ID')
      .argParser(parseName)
      .makeOptionMandatory(),
    new Option(
      '--workload-identity-provider <name>',
      'projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER',
    )
      .env('WORKLOAD_IDENTITY_PROVIDER')
      .argParser(parseProvider)
      .makeOptionMandatory(),
    new Option('--server-port <port>', 'port of the metadata API')
      .env('SERVER_PORT')
      .argParser(parsePort)
      .default(16_321),
    new Option('--health-port <port>', 'port of /healthz, /readyz and /metrics')
      .env('HEALTH_PORT')
      .argParser(parsePort)
      .default(16_322),
    new Option(
      '--kubeconfig <file>',
      'kubeconfig file (default: in-cluster, then $KUBECONFIG, then ~/.kube/config)',
    ),
    new Option(
      '--default-node-service-account-name <name>',
      'ServiceAccount of host-network Pods where the Node names none',
    )
      .env('DEFAULT_NODE_SERVICE_ACCOUNT_NAME')
      .argParser(parseOptionalObjectName)
      .default(''),
    new Option('--default-node-service-account-namespace <namespace>', 'its namespace')
      .env('DEFAULT_NODE_SERVICE_ACCOUNT_NAMESPACE')
      .argParser(parseOptionalObjectName)
      .default(''),
    new Option('--cache-tokens <boolean>', 'keep tokens and refresh them ahead')
      .env('CACHE_TOKENS')
      .argParser(parseBoolean)
      .default(true),
    new Option('--cache-tokens-per-pod <boolean>', 'keep them by Pod instead of by ServiceAccount')
      .env('CACHE_TOKENS_PER_POD')
      .argParser(parseBoolean)
      .default(false),
    // below 10 minutes a token could not be handed out with 5 left; above 12 hours Google refuses
    new Option('--cache-max-token-duration <duration>', 'longest life of a token handed out, 10m to 12h')
      .env('CACHE_MAX_TOKEN_DURATION')
      .argParser(parseDurationBetween(600, 43_200))
      .default(3600, '1h'),
    new Option(
      '--pod-exchanges-per-minute <number>',
      'new tokens one Pod may ask for in a minute, half of them at once',
    )
      .env('POD_EXCHANGES_PER_MINUTE')
      .argParser(parseCount)
      .default(60),
    new Option(
      '--node-exchanges-per-minute <number>',
      'new tokens all Pods of the Node together may ask for in a minute, half of them at once',
    )
      .env('NODE_EXCHANGES_PER_MINUTE')
      .argParser(parseCount)
      .default(600),
    new Option(
      '--google-sts-endpoint <url>',
      "base URL of Google's Security Token Service (default: https://sts.UNIVERSE)",
    )
      .env('GOOGLE_STS_ENDPOINT')
      .argParser(parseBaseUrl),
    new Option(
      '--google-iam-credentials-endpoint <url>',
      'base URL of the IAM Credentials API (default: https://iamcredentials.UNIVERSE)',
    )
      .env('GOOGLE_IAM_CREDENTIALS_ENDPOINT')
      .argParser(parseBaseUrl),
    new Option('--universe-domain <domain>', "Google Cloud's universe")
      .env('UNIVERSE_DOMAIN')
      .argParser(parseDomain)
      .default('googleapis.com'),
    new Option(
      '--cluster-name <name>',
      "instance/attributes/cluster-name (default: the provider's ID, the last part of its name)",
    )
      .env('CLUSTER_NAME')
      .argParser(parseOptionalName)
      .default(''),
    new Option('--cluster-location <location>', "zone or region (default: the Node's topology labels)")
      .env('CLUSTER_LOCATION')
      .argParser(parseOptionalName)
      .default(''),
    ...logOptions(),
  ];
}

/** The settings that a parsed command line and environment give. A contradiction ends the command, as bad use. */
export function serveSettings(command: Command): ServeSettings {
  // the parsers above are the proof of these types
  const options = command.opts() as ServeOptionValues;
  const name = options.defaultNodeServiceAccountName;
  const namespace = options.defaultNodeServiceAccountNamespace;
  if ((name === '') !== (namespace === '')) {
    command.error(
      'error: --default-node-service-account-name and --default-node-service-account-namespace go together',
    );
  }
  if (options.serverPort === options.healthPort) {
    command.error(`error: --server-port and --health-port are both ${options.serverPort}`);
  }
  return {
    nodeName: options.nodeName,
    projectID: options.projectId,
    workloadIdentityProvider: options.workloadIdentityProvider,
    serverPort: options.serverPort,
    healthPort: options.healthPort,
    kubeconfig: options.kubeconfig,
    defaultNodeServiceAccount: name === '' ? undefined : { namespace, name },
    cacheTokens: options.cacheTokens,
    cacheTokensPerPod: options.cacheTokensPerPod,
    cacheMaxTokenDurationSeconds: options.cacheMaxTokenDuration,
    podExchangesPerMinute: options.podExchangesPerMinute,
    nodeExchangesPerMinute: options.nodeExchangesPerMinute,
    googleStsEndpoint: options.googleStsEndpoint ?? `https://sts.${options.universeDomain}`,
    googleIamCredentialsEndpoint:
      options.googleIamCredentialsEndpoint ?? `https://iamcredentials.${options.universeDomain}`,
    universeDomain: options.universeDomain,
    clusterName: options.clusterName || options.workloadIdentityProvider.provider,
    clusterLocation: options.clusterLocation,
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}
