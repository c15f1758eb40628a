import { type Command, InvalidArgumentError, type OptionValues } from '@commander-js/extra-typings';
import type { InjectionSettings } from '../admission/injection.ts';
import {
  type CertificateAuthority,
  type CustomTokenEndpoint,
  ENDPOINT_SUFFIX,
} from '../admission/injections/azure.ts';
import { CREDENTIALS_SOURCES } from '../admission/injections/credentials-source.ts';
import {
  AUTHORITY_HOSTS,
  AZURE_AUDIENCE,
  azureAudienceFlag,
  azureCloudFlag,
  azureTenantIDFlag,
} from './azure-flags.ts';
import { flag, type Parsed } from './flags.ts';
import { parseBoolean, parseLabels, parseOptionalName, parseOptionalObjectName } from './parsers.ts';

const NO_LABELS: Readonly<Record<string, string>> = {};

/** Adds the flags of Azure to a command. */
export function withAzureFlags<
  Args extends unknown[],
  Opts extends OptionValues,
  Globals extends OptionValues,
>(command: Command<Args, Opts, Globals>) {
  return command
    .addOption(
      flag(
        '--inject-azure <boolean>',
        'INJECT_AZURE',
        'inject Azure workload identity into Pods labelled azure.workload.identity/use=true',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag(
        '--azure-credentials <source>',
        'AZURE_CREDENTIALS',
        'where Pods get their credentials for Azure, unless the Pod or its Namespace sets it',
      )
        .choices(CREDENTIALS_SOURCES)
        .default('TokenFile'),
    )
    .addOption(azureTenantIDFlag())
    .addOption(azureCloudFlag())
    .addOption(azureAudienceFlag())
    .addOption(
      flag(
        '--azure-custom-token-endpoint-suffix <suffix>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_SUFFIX',
        'SUFFIX of the annotation azure.workload.identity/use-SUFFIX, by which Pods use the custom token endpoint',
      )
        .argParser(parseSuffix)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-audience <audience>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_AUDIENCE',
        'audience of the tokens for the custom token endpoint',
      )
        .argParser(parseOptionalName)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-url <url>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_URL',
        'URL of the custom token endpoint',
      )
        .argParser(parseEndpoint)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-sni-name <name>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_SNI_NAME',
        "TLS server name of the custom token endpoint (default: the URL's host)",
      )
        .argParser(parseOptionalName)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-ca-config-map <name>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_CA_CONFIG_MAP',
        'ConfigMap in the Namespace of each Pod whose key ca.crt is its CA',
      )
        .argParser(parseOptionalObjectName)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-ca-data <pem>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_CA_DATA',
        'its CA as PEM',
      ).default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-cluster-trust-bundle <signer>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_CLUSTER_TRUST_BUNDLE',
        'signer of the ClusterTrustBundles that are its CA',
      )
        .argParser(parseOptionalName)
        .default(''),
    )
    .addOption(
      flag(
        '--azure-custom-token-endpoint-cluster-trust-bundle-labels <labels>',
        'AZURE_CUSTOM_TOKEN_ENDPOINT_CLUSTER_TRUST_BUNDLE_LABELS',
        'labels of these ClusterTrustBundles (KEY=VALUE,…)',
      )
        .argParser(parseLabels)
        .default(NO_LABELS, 'all of the signer'),
    );
}

type AzureValues = ReturnType<
  ReturnType<typeof withAzureFlags<[], Record<never, never>, Record<never, never>>>['opts']
>;

/** What is switched on. A contradiction ends the command, as bad use. */
export function azureInjectionSettings(command: Parsed<AzureValues>): Pick<InjectionSettings, 'azure'> {
  const options = command.opts();
  const customTokenEndpoint = customTokenEndpointOf(command);
  const azure = {
    credentials: options.azureCredentials,
    tenantID: options.azureTenantId,
    authorityHost: `${AUTHORITY_HOSTS[options.azureCloud]}/`,
    audience: options.azureAudience,
    customTokenEndpoint,
  };
  return { azure: options.injectAzure ? azure : undefined };
}

function customTokenEndpointOf(command: Parsed<AzureValues>): CustomTokenEndpoint | undefined {
  const options = command.opts();
  const ca = certificateAuthorityOf(command);
  const {
    azureCustomTokenEndpointSuffix: suffix,
    azureCustomTokenEndpointAudience: audience,
    azureCustomTokenEndpointUrl: url,
    azureCustomTokenEndpointSniName: sniName,
  } = options;
  const isAny = [suffix, audience, url, sniName].some((value) => value !== '') || ca !== undefined;
  if (!isAny) return undefined;
  if ([suffix, audience, url].includes('')) {
    command.error(
      'error: a custom token endpoint needs --azure-custom-token-endpoint-suffix, --azure-custom-token-endpoint-audience ' +
        'and --azure-custom-token-endpoint-url',
    );
  }
  // else a token for the endpoint could be sent to Entra, and the other way round
  if (
    [options.azureAudience, AZURE_AUDIENCE].some((other) => other.toLowerCase() === audience.toLowerCase())
  ) {
    command.error('error: --azure-custom-token-endpoint-audience is the audience of Entra: set another');
  }
  return { suffix, audience, url, sniName, ca };
}

function certificateAuthorityOf(command: Parsed<AzureValues>): CertificateAuthority | undefined {
  const options = command.opts();
  const configMap = options.azureCustomTokenEndpointCaConfigMap;
  const data = options.azureCustomTokenEndpointCaData;
  const signerName = options.azureCustomTokenEndpointClusterTrustBundle;
  const labels = options.azureCustomTokenEndpointClusterTrustBundleLabels;
  if ([configMap, data, signerName].filter((value) => value !== '').length > 1) {
    command.error(
      'error: set only one of --azure-custom-token-endpoint-ca-config-map, --azure-custom-token-endpoint-ca-data and ' +
        '--azure-custom-token-endpoint-cluster-trust-bundle',
    );
  }
  if (signerName === '' && Object.keys(labels).length > 0) {
    command.error(
      'error: --azure-custom-token-endpoint-cluster-trust-bundle-labels needs ' +
        '--azure-custom-token-endpoint-cluster-trust-bundle',
    );
  }
  if (configMap !== '') return { configMap };
  if (data !== '') return { data };
  return signerName === '' ? undefined : { signerName, labels };
}

function parseSuffix(value: string): string {
  if (value !== '' && !ENDPOINT_SUFFIX.test(value)) {
    throw new InvalidArgumentError('Expected the end of a name of an annotation, such as identity-binding.');
  }
  return value;
}

function parseEndpoint(value: string): string {
  if (value !== '' && (URL.parse(value)?.protocol !== 'https:' || !/^[!-~]{1,2048}$/.test(value))) {
    throw new InvalidArgumentError('Expected an https URL.');
  }
  return value;
}
