import { type Command, Option } from 'commander';
import type { InitNetworkResources, InjectionMode, OptIn } from '../admission/injection-settings.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import {
  parseBoolean,
  parseIPAddress,
  parseLabels,
  parseName,
  parseNamespaces,
  parseObjectName,
  parseOptionalObjectName,
  parsePort,
  parseResources,
} from './parsers.ts';
import { logOptions } from './serve-options.ts';
import type { WebhookSettings } from './webhook-settings.ts';

/** What commander has after each parser below has run. */
interface WebhookOptionValues {
  webhookPort: number;
  healthPort: number;
  certificateDirectory: string;
  kubeconfig?: string;
  namespace: string;
  serverServiceAccountName: string;
  webhookServiceAccountName: string;
  defaultNodeServiceAccountName: string;
  defaultNodeServiceAccountNamespace: string;
  injectionMode: InjectionMode;
  initNetworkImage: string;
  initNetworkResources: InitNetworkResources;
  environmentWait: boolean;
  searchGoogleInternal: boolean;
  optIn: OptIn;
  excludedNamespaces: readonly string[];
  serverPort: number;
  hostIp: IPAddress;
  nodeSelector: Readonly<Record<string, string>>;
  injectHostNetwork: boolean;
  logLevel: LogLevel;
  logFormat: LogFormat;
}

const MODES: readonly InjectionMode[] = ['Redirect', 'Environment'];

const OPT_INS: readonly OptIn[] = ['Labels', 'All'];
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease'];

/** The flags of `webhook`, each with its environment variable. */
export function webhookOptions(): Option[] {
  return [
    new Option('--webhook-port <port>', 'port of the admission reviews, over TLS')
      .env('WEBHOOK_PORT')
      .argParser(parsePort)
      .default(8443),
    new Option('--health-port <port>', 'port of /healthz, /readyz and /metrics')
      .env('HEALTH_PORT')
      .argParser(parsePort)
      .default(16_322),
    new Option('--certificate-directory <directory>', 'the mounted Secret with tls.crt and tls.key')
      .env('CERTIFICATE_DIRECTORY')
      .default('/etc/gke-metadata-server/tls'),
    new Option(
      '--kubeconfig <file>',
      'kubeconfig file (default: in-cluster, then $KUBECONFIG, then ~/.kube/config)',
    ),
    new Option('--namespace <namespace>', 'the Namespace of the server and of this webhook')
      .env('NAMESPACE')
      .argParser(parseObjectName)
      .makeOptionMandatory(),
    new Option(
      '--server-service-account-name <name>',
      'ServiceAccount of the server, whose requests are guarded',
    )
      .env('SERVER_SERVICE_ACCOUNT_NAME')
      .argParser(parseObjectName)
      .default('gke-metadata-server'),
    new Option('--webhook-service-account-name <name>', 'ServiceAccount of this webhook')
      .env('WEBHOOK_SERVICE_ACCOUNT_NAME')
      .argParser(parseObjectName)
      .default('gke-metadata-server-webhook'),
    new Option(
      '--default-node-service-account-name <name>',
      'ServiceAccount of host-network Pods where the Node names none, as the server has it',
    )
      .env('DEFAULT_NODE_SERVICE_ACCOUNT_NAME')
      .argParser(parseOptionalObjectName)
      .default(''),
    new Option('--default-node-service-account-namespace <namespace>', 'its namespace')
      .env('DEFAULT_NODE_SERVICE_ACCOUNT_NAMESPACE')
      .argParser(parseOptionalObjectName)
      .default(''),
    new Option(
      '--injection-mode <mode>',
      'how Pods reach the server where neither they nor their Namespace say',
    )
      .env('INJECTION_MODE')
      .choices(MODES)
      .default('Redirect'),
    new Option('--init-network-image <image>', 'image of the init container: the one of this release')
      .env('INIT_NETWORK_IMAGE')
      .argParser(parseName)
      .makeOptionMandatory(),
    new Option(
      '--init-network-resources <resources>',
      "the init container's: auto (as the Pod's largest container has), none, or JSON",
    )
      .env('INIT_NETWORK_RESOURCES')
      .argParser(parseResources)
      .default('auto'),
    new Option(
      '--environment-wait <boolean>',
      'in mode Environment, add an init container that waits until the server knows the Pod',
    )
      .env('ENVIRONMENT_WAIT')
      .argParser(parseBoolean)
      .default(true),
    new Option(
      '--search-google-internal <boolean>',
      'add google.internal to the DNS search domains of injected Pods',
    )
      .env('SEARCH_GOOGLE_INTERNAL')
      .argParser(parseBoolean)
      .default(false),
    new Option('--opt-in <who>', 'Pods that opt in: by label, or all that do not opt out')
      .env('OPT_IN')
      .choices(OPT_INS)
      .default('Labels'),
    new Option(
      '--excluded-namespaces <names>',
      'comma-separated Namespaces, besides its own, in which --opt-in=All means nothing',
    )
      .env('EXCLUDED_NAMESPACES')
      .argParser(parseNamespaces)
      .default(SYSTEM_NAMESPACES, SYSTEM_NAMESPACES.join(',')),
    new Option('--server-port <port>', 'port of the metadata API on each Node')
      .env('SERVER_PORT')
      .argParser(parsePort)
      .default(16_321),
    new Option(
      '--host-ip <address>',
      "address of this webhook's Node (status.hostIP): its family is all Nodes'",
    )
      .env('HOST_IP')
      .argParser(parseIPAddress)
      .makeOptionMandatory(),
    new Option(
      '--node-selector <labels>',
      "KEY=VALUE,… of the Nodes with a server, in place of GKE's nodeSelector",
    )
      .env('NODE_SELECTOR')
      .argParser(parseLabels)
      .default({}, 'all Nodes'),
    new Option('--inject-host-network <boolean>', 'inject Pods on the host network too, by environment')
      .env('INJECT_HOST_NETWORK')
      .argParser(parseBoolean)
      .default(false),
    ...logOptions(),
  ];
}

/** The settings that a parsed command line and environment give. A contradiction ends the command, as bad use. */
export function webhookSettings(command: Command): WebhookSettings {
  // the parsers above are the proof of these types
  const options = command.opts() as WebhookOptionValues;
  const { namespace } = options;
  const defaultName = options.defaultNodeServiceAccountName;
  const defaultNamespace = options.defaultNodeServiceAccountNamespace;
  if ((defaultName === '') !== (defaultNamespace === '')) {
    command.error(
      'error: --default-node-service-account-name and --default-node-service-account-namespace go together',
    );
  }
  if (options.webhookPort === options.healthPort) {
    command.error(`error: --webhook-port and --health-port are both ${options.webhookPort}`);
  }
  const serverServiceAccount = { namespace, name: options.serverServiceAccountName };
  return {
    webhookPort: options.webhookPort,
    healthPort: options.healthPort,
    certificateDirectory: options.certificateDirectory,
    kubeconfig: options.kubeconfig,
    serverServiceAccount,
    defaultNodeServiceAccount:
      defaultName === '' ? undefined : { namespace: defaultNamespace, name: defaultName },
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
      ownServiceAccounts: [serverServiceAccount, { namespace, name: options.webhookServiceAccountName }],
    },
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}
