import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseTenantID } from '../azure/azure-identity.ts';
import { flag } from './flags.ts';
import { parseName } from './parsers.ts';

export const AZURE_AUDIENCE = 'api://AzureADTokenExchange';

/** Where Entra is in each cloud, as in `AzureAuthorityHosts` of the Azure SDKs. Without a trailing slash. */
export const AUTHORITY_HOSTS = {
  AzurePublicCloud: 'https://login.microsoftonline.com',
  AzureChinaCloud: 'https://login.chinacloudapi.cn',
  AzureUSGovernmentCloud: 'https://login.microsoftonline.us',
} as const;
const CLOUDS = ['AzurePublicCloud', 'AzureChinaCloud', 'AzureUSGovernmentCloud'] as const;

export function azureTenantIDFlag() {
  return flag('--azure-tenant-id <id>', 'AZURE_TENANT_ID', 'tenant, if the ServiceAccount does not name one')
    .argParser(parseOptionalTenant)
    .default('');
}

export function azureCloudFlag() {
  return flag('--azure-cloud <cloud>', 'AZURE_CLOUD', 'cloud whose Entra is used')
    .choices(CLOUDS)
    .default('AzurePublicCloud' as const);
}

export function azureAudienceFlag() {
  return flag('--azure-audience <audience>', 'AZURE_AUDIENCE', 'audience of the tokens for Entra')
    .argParser(parseName)
    .default(AZURE_AUDIENCE);
}

function parseOptionalTenant(value: string): string {
  if (value !== '' && parseTenantID(value) === undefined) {
    throw new InvalidArgumentError('Expected the GUID or a domain of a tenant.');
  }
  return value;
}
