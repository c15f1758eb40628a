import type { Command, OptionValues } from '@commander-js/extra-typings';
import type { AzureSettings } from '../azure/azure-tokens.ts';
import { AUTHORITY_HOSTS, azureAudienceFlag, azureCloudFlag, azureTenantIDFlag } from './azure-flags.ts';
import { flag } from './flags.ts';
import { parseBaseUrl, parseBoolean } from './parsers.ts';

/** Adds the flags of Azure's part of the metadata API to `serve`. */
export function withAzureServeFlags<
  Args extends unknown[],
  Opts extends OptionValues,
  Globals extends OptionValues,
>(command: Command<Args, Opts, Globals>) {
  return command
    .addOption(
      flag(
        '--azure <boolean>',
        'AZURE',
        "give Pods tokens of Microsoft Entra, at the path of Azure's metadata service",
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(azureTenantIDFlag())
    .addOption(azureCloudFlag())
    .addOption(azureAudienceFlag())
    .addOption(
      flag(
        '--azure-authority-host <url>',
        'AZURE_AUTHORITY_HOST',
        'base URL of Microsoft Entra (default: that of --azure-cloud)',
      ).argParser(parseBaseUrl),
    );
}

interface AzureServeValues {
  readonly azure: boolean;
  readonly azureTenantId: string;
  readonly azureCloud: keyof typeof AUTHORITY_HOSTS;
  readonly azureAudience: string;
  readonly azureAuthorityHost?: string | undefined;
}

/** Undefined if it is switched off. */
export function azureSettingsOf(options: AzureServeValues): AzureSettings | undefined {
  if (!options.azure) return undefined;
  return {
    authorityHost: options.azureAuthorityHost ?? AUTHORITY_HOSTS[options.azureCloud],
    tenantID: options.azureTenantId || undefined,
    audience: options.azureAudience,
  };
}
