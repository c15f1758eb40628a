import { Command } from '@commander-js/extra-typings';
import type { InjectionMode, InjectionSettings, OptIn } from '../admission/injection.ts';
import { AWS_ROLE_ANNOTATION } from '../aws/aws-identity.ts';
import { AZURE_CLIENT_ID_ANNOTATION } from '../azure/azure-identity.ts';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import type { LogSettings } from '../telemetry/log.ts';
import { awsInjectionSettings, withAwsFlags } from './aws-injection-settings.ts';
import { azureInjectionSettings, withAzureFlags } from './azure-injection-settings.ts';
import {
  externalAccountInjectionSettings,
  withExternalAccountFlags,
} from './external-account-injection-settings.ts';
import {
  defaultNodeNameFlag,
  defaultNodeNamespaceFlag,
  defaultNodeServiceAccountOf,
  flag,
  kubeconfigFlag,
  logFormatFlag,
  logLevelFlag,
  type Parsed,
  requireDistinctPorts,
} from './flags.ts';
import { googleToAwsSettingsOf, injectGoogleToAwsFlag } from './google-to-aws-settings.ts';
import {
  parseBoolean,
  parseIPAddress,
  parseLabels,
  parseName,
  parseNamespaces,
  parseObjectName,
  parsePort,
  parseResources,
} from './parsers.ts';

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
  /** As in the settings of `serve`: which token a Node may request if the Node itself does not name one. */
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
  /** The annotation that a ServiceAccount needs before the server gets a token of this audience for it. */
  readonly requiredAnnotations: ReadonlyMap<string, string>;
}

const MODES: readonly InjectionMode[] = ['Redirect', 'Environment'];
const OPT_INS: readonly OptIn[] = ['Labels', 'All'];
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease'];
const ALL_NODES: Readonly<Record<string, string>> = {};

/** A command with all flags of `webhook`. */
export function webhookCommandOf(name: string) {
  return withExternalAccountFlags(withAzureFlags(withAwsFlags(ownFlags(name))));
}

/** A command with those that are not of a cloud: flag, variable, text, type, default. */
function ownFlags(name: string) {
  return new Command(name)
    .addOption(
      flag('--webhook-port <port>', 'WEBHOOK_PORT', 'port of the admission webhook (TLS)')
        .argParser(parsePort)
        .default(8443),
    )
    .addOption(
      flag('--health-port <port>', 'HEALTH_PORT', 'port of /healthz, /readyz and /metrics')
        .argParser(parsePort)
        .default(16_322),
    )
    .addOption(
      flag(
        '--certificate-directory <directory>',
        'CERTIFICATE_DIRECTORY',
        'mount path of the Secret with tls.crt and tls.key',
      ).default('/etc/gke-metadata-server/tls'),
    )
    .addOption(kubeconfigFlag())
    .addOption(
      flag('--namespace <namespace>', 'NAMESPACE', 'Namespace of the server and of this webhook')
        .argParser(parseObjectName)
        .makeOptionMandatory(),
    )
    .addOption(
      flag(
        '--server-service-account-name <name>',
        'SERVER_SERVICE_ACCOUNT_NAME',
        'ServiceAccount of the server, whose token requests are guarded',
      )
        .argParser(parseObjectName)
        .default('gke-metadata-server'),
    )
    .addOption(
      flag(
        '--webhook-service-account-name <name>',
        'WEBHOOK_SERVICE_ACCOUNT_NAME',
        'ServiceAccount of this webhook',
      )
        .argParser(parseObjectName)
        .default('gke-metadata-server-webhook'),
    )
    .addOption(defaultNodeNameFlag())
    .addOption(defaultNodeNamespaceFlag())
    .addOption(
      flag(
        '--injection-mode <mode>',
        'INJECTION_MODE',
        'how Pods reach the server, unless the Pod or its Namespace sets it',
      )
        .choices(MODES)
        .default('Redirect'),
    )
    .addOption(
      flag(
        '--init-network-image <image>',
        'INIT_NETWORK_IMAGE',
        'image of the init container, of this release',
      )
        .argParser(parseName)
        .makeOptionMandatory(),
    )
    .addOption(
      flag(
        '--init-network-resources <resources>',
        'INIT_NETWORK_RESOURCES',
        "resources of the init container: auto (those of the Pod's largest container), none, or JSON",
      )
        .argParser(parseResources)
        .default('auto'),
    )
    .addOption(
      flag(
        '--environment-wait <boolean>',
        'ENVIRONMENT_WAIT',
        'in mode Environment, add an init container that waits until the server knows the Pod',
      )
        .argParser(parseBoolean)
        .default(true),
    )
    .addOption(
      flag(
        '--search-google-internal <boolean>',
        'SEARCH_GOOGLE_INTERNAL',
        'add google.internal to the DNS search domains of injected Pods',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag('--opt-in <who>', 'OPT_IN', 'Pods to inject: those with the label, or all that do not opt out')
        .choices(OPT_INS)
        .default('Labels'),
    )
    .addOption(
      flag(
        '--excluded-namespaces <names>',
        'EXCLUDED_NAMESPACES',
        "comma-separated Namespaces that --opt-in=All skips, besides the webhook's own",
      )
        .argParser(parseNamespaces)
        .default(SYSTEM_NAMESPACES, SYSTEM_NAMESPACES.join(',')),
    )
    .addOption(
      flag('--server-port <port>', 'SERVER_PORT', 'port of the metadata API on each Node')
        .argParser(parsePort)
        .default(16_321),
    )
    .addOption(
      flag(
        '--host-ip <address>',
        'HOST_IP',
        "address of this webhook's Node (status.hostIP); all Nodes are assumed to use its IP family",
      )
        .argParser(parseIPAddress)
        .makeOptionMandatory(),
    )
    .addOption(
      flag(
        '--node-selector <labels>',
        'NODE_SELECTOR',
        "labels of the Nodes that run a server (KEY=VALUE,…), to replace GKE's nodeSelector in Pods",
      )
        .argParser(parseLabels)
        .default(ALL_NODES, 'all Nodes'),
    )
    .addOption(
      flag(
        '--inject-host-network <boolean>',
        'INJECT_HOST_NETWORK',
        'also inject host-network Pods, by environment variables',
      )
        .argParser(parseBoolean)
        .default(true),
    )
    .addOption(injectGoogleToAwsFlag())
    .addOption(logLevelFlag())
    .addOption(logFormatFlag());
}

type WebhookValues = ReturnType<ReturnType<typeof webhookCommandOf>['opts']>;

/** The settings of a parsed command line and environment. A contradiction ends the command, as bad use. */
export function webhookSettings(command: Parsed<WebhookValues>): WebhookSettings {
  const options = command.opts();
  const { namespace } = options;
  const defaultNodeServiceAccount = defaultNodeServiceAccountOf(command);
  requireDistinctPorts(command, '--webhook-port', options.webhookPort, options.healthPort);
  // by which the guard knows the cloud that a token is for
  if (options.awsAudience === options.azureAudience) {
    command.error('error: --aws-audience and --azure-audience are the same: give each cloud its own');
  }
  const serverServiceAccount = { namespace, name: options.serverServiceAccountName };
  return {
    webhookPort: options.webhookPort,
    healthPort: options.healthPort,
    certificateDirectory: options.certificateDirectory,
    kubeconfig: options.kubeconfig,
    serverServiceAccount,
    defaultNodeServiceAccount,
    requiredAnnotations: new Map([
      [options.awsAudience, AWS_ROLE_ANNOTATION],
      [options.azureAudience, AZURE_CLIENT_ID_ANNOTATION],
    ]),
    injection: {
      mode: options.injectionMode,
      initNetworkImage: options.initNetworkImage,
      initNetworkResources: options.initNetworkResources,
      environmentWait: options.environmentWait,
      searchGoogleInternal: options.searchGoogleInternal,
      optIn: options.optIn,
      excludedNamespaces: [namespace, ...options.excludedNamespaces],
      serverPort: options.serverPort,
      nodesAreIPv6: options.hostIp.includes(':'),
      nodeSelector: options.nodeSelector,
      injectHostNetwork: options.injectHostNetwork,
      googleToAws: googleToAwsSettingsOf(options),
      ownServiceAccounts: [serverServiceAccount, { namespace, name: options.webhookServiceAccountName }],
      ...awsInjectionSettings(command),
      ...azureInjectionSettings(command),
      ...externalAccountInjectionSettings(command),
    },
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}
