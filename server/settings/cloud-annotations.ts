import { awsAnnotations } from '../aws/aws-identity.ts';
import { azureAnnotations } from '../azure/azure-identity.ts';
import type { CloudAnnotations } from '../caller/service-accounts.ts';
import { googleAnnotations } from '../google/google-account.ts';
import type { ServeSettings } from './serve-settings.ts';

/** The annotations of the clouds that are switched on. */
export function cloudAnnotations({ aws, azure }: Pick<ServeSettings, 'aws' | 'azure'>): CloudAnnotations[] {
  return [
    googleAnnotations,
    ...(aws === undefined ? [] : [awsAnnotations]),
    ...(azure === undefined ? [] : [azureAnnotations]),
  ];
}
