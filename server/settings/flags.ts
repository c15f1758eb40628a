import { type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import type { ServiceAccountName } from '../kubernetes/objects.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import { parseBaseUrl, parseDomain, parseName, parseOptionalObjectName, parsePort } from './parsers.ts';

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const LOG_FORMATS: readonly LogFormat[] = ['json', 'text'];

/** A parsed command line, and how to end it as bad use. */
export interface Parsed<Values> {
  opts(): Values;
  error(message: string): never;
}

/** A flag and its environment variable; a parser and a default give the type of its value. */
export function flag<const Usage extends string>(
  usage: Usage,
  variable: string,
  text: string,
): Option<Usage> {
  return new Option(usage, text).env(variable);
}

/** KUBECONFIG is read after the in-cluster configuration, so it is not the variable of this flag. */
export function kubeconfigFlag() {
  return new Option(
    '--kubeconfig <file>',
    'kubeconfig file (default: in-cluster, then $KUBECONFIG, then ~/.kube/config)',
  );
}

/** Of a command that runs in a Pod, by the downward API. */
export function podUIDFlag() {
  return flag('--pod-uid <uid>', 'POD_UID', "this Pod's UID (metadata.uid)")
    .argParser(parseName)
    .makeOptionMandatory();
}

/** Where a command that runs in a Pod finds the server. */
export function nodeServerPortFlag() {
  return flag('--server-port <port>', 'SERVER_PORT', 'port of the metadata API on the Node')
    .argParser(parsePort)
    .default(16_321);
}

export function logLevelFlag() {
  return flag('--log-level <level>', 'LOG_LEVEL', 'minimum level of messages to log')
    .choices(LOG_LEVELS)
    .default('info');
}

export function logFormatFlag() {
  return flag('--log-format <format>', 'LOG_FORMAT', 'format of log lines')
    .choices(LOG_FORMATS)
    .default('json');
}

export function defaultNodeNameFlag() {
  return flag(
    '--default-node-service-account-name <name>',
    'DEFAULT_NODE_SERVICE_ACCOUNT_NAME',
    'ServiceAccount of host-network Pods if the Node does not name one; the same for serve and webhook',
  )
    .argParser(parseOptionalObjectName)
    .default('');
}

export function defaultNodeNamespaceFlag() {
  return flag(
    '--default-node-service-account-namespace <namespace>',
    'DEFAULT_NODE_SERVICE_ACCOUNT_NAMESPACE',
    'Namespace of that ServiceAccount',
  )
    .argParser(parseOptionalObjectName)
    .default('');
}

export function stsEndpointFlag() {
  return flag(
    '--google-sts-endpoint <url>',
    'GOOGLE_STS_ENDPOINT',
    "base URL of Google's Security Token Service (default: https://sts.UNIVERSE)",
  ).argParser(parseBaseUrl);
}

export function iamCredentialsEndpointFlag() {
  return flag(
    '--google-iam-credentials-endpoint <url>',
    'GOOGLE_IAM_CREDENTIALS_ENDPOINT',
    'base URL of the IAM Credentials API (default: https://iamcredentials.UNIVERSE)',
  ).argParser(parseBaseUrl);
}

export function universeDomainFlag() {
  return flag('--universe-domain <domain>', 'UNIVERSE_DOMAIN', "Google Cloud's universe")
    .argParser(parseDomain)
    .default('googleapis.com');
}

/** The base URLs of these flags, those of the universe by default. */
export function googleEndpointsOf(options: {
  readonly googleStsEndpoint?: string | undefined;
  readonly googleIamCredentialsEndpoint?: string | undefined;
  readonly universeDomain: string;
}): { readonly googleStsEndpoint: string; readonly googleIamCredentialsEndpoint: string } {
  const { universeDomain } = options;
  return {
    googleStsEndpoint: options.googleStsEndpoint ?? `https://sts.${universeDomain}`,
    googleIamCredentialsEndpoint:
      options.googleIamCredentialsEndpoint ?? `https://iamcredentials.${universeDomain}`,
  };
}

/** Ends the command if two of its listeners have the same port. */
export function requireDistinctPorts(
  command: Parsed<unknown>,
  flagOfPort: '--server-port' | '--webhook-port',
  port: number,
  healthPort: number,
): void {
  if (port === healthPort) command.error(`error: ${flagOfPort} and --health-port are both ${port}`);
}

/** The ServiceAccount of `--default-node-service-account-…`, or undefined; ends the command if half of it is missing. */
export function defaultNodeServiceAccountOf(
  command: Parsed<{
    readonly defaultNodeServiceAccountName: string;
    readonly defaultNodeServiceAccountNamespace: string;
  }>,
): ServiceAccountName | undefined {
  const { defaultNodeServiceAccountName: name, defaultNodeServiceAccountNamespace: namespace } =
    command.opts();
  if ((name === '') !== (namespace === '')) {
    command.error(
      'error: --default-node-service-account-name and --default-node-service-account-namespace go together',
    );
  }
  return name === '' ? undefined : { namespace, name };
}

/**
 * Makes each error of a command line one line on standard error, for the command and its subcommands, and a
 * CommanderError instead of an exit. An unknown flag is reported before a missing one.
 */
export function strict<T extends CommandUnknownOpts>(command: T): T {
  command.exitOverride().configureOutput({ outputError: (text, write) => write(`${oneLine(text)}\n`) });
  for (const each of command.commands) each.copyInheritedSettings(command);
  for (const each of [command, ...command.commands]) reportMissingLast(each);
  return command;
}

/** A text as one line: a line that begins a sentence follows a full stop. */
export function oneLine(text: string): string {
  return text
    .trim()
    .replaceAll(/(?<![.:!?])\s*\n\s*(?=[A-Z])/g, '. ')
    .replaceAll(/\s*\n\s*/g, ' ');
}

/** commander checks mandatory options first, and would report a misspelt one as missing. */
function reportMissingLast(command: CommandUnknownOpts): void {
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) option.mandatory = false;
  command.hook('preAction', (_, acting) => {
    if (acting !== command) return;
    const missing = required.filter((option) => command.getOptionValue(option.attributeName()) === undefined);
    if (missing.length === 0) return;
    const names = missing.map(({ long, envVar }) => (envVar === undefined ? long : `${long} (${envVar})`));
    command.error(`error: missing ${names.join(', ')}`, { code: 'commander.missingMandatoryOptionValue' });
  });
}
