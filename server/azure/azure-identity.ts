import type { Caller } from '../caller/caller.ts';
import type { CloudAnnotations } from '../caller/service-accounts.ts';
import { Fault } from '../core/fault.ts';
import { escaped } from '../core/printable.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';

/** The annotations of Azure workload identity. */
export const AZURE_CLIENT_ID_ANNOTATION = 'azure.workload.identity/client-id';
export const AZURE_TENANT_ID_ANNOTATION = 'azure.workload.identity/tenant-id';

/** An application or managed identity of Microsoft Entra. */
export interface AzureIdentity {
  /** A GUID, in lower case. */
  readonly clientID: string;
  /** A GUID in lower case, or a domain of the tenant. */
  readonly tenantID: string;
}

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;

/** The client ID, or undefined if `value` is not a GUID. */
export function parseClientID(value: string): string | undefined {
  const lower = value.toLowerCase();
  return GUID.test(lower) ? lower : undefined;
}

/** The tenant, or undefined if `value` is neither a GUID nor a domain. */
export function parseTenantID(value: string): string | undefined {
  const lower = value.toLowerCase();
  return GUID.test(lower) || (lower.length <= 253 && DOMAIN.test(lower)) ? lower : undefined;
}

/** The annotations of a ServiceAccount that its Azure tokens depend on: tokens are cached while this stays the same. */
export function azureTokenVersion(serviceAccount: ServiceAccount): string {
  return `${annotation(serviceAccount, AZURE_CLIENT_ID_ANNOTATION)} ${annotation(serviceAccount, AZURE_TENANT_ID_ANNOTATION)}`;
}

/** The annotations of a ServiceAccount that are Azure's. */
export const azureAnnotations: CloudAnnotations = {
  keys: [AZURE_CLIENT_ID_ANNOTATION, AZURE_TENANT_ID_ANNOTATION],
  areComplete: (serviceAccount) =>
    parseClientID(annotation(serviceAccount, AZURE_CLIENT_ID_ANNOTATION)) !== undefined,
};

/**
 * The identity that a ServiceAccount is annotated with. `defaultTenantID` is the tenant of a ServiceAccount that
 * names none. Throws `azure-identity-missing` or `azure-identity-invalid`.
 */
export function azureIdentityOf(
  { serviceAccount }: Pick<Caller, 'serviceAccount'>,
  defaultTenantID: string | undefined,
): AzureIdentity {
  const name = `${serviceAccount.namespace}/${serviceAccount.name}`;
  const clientIDValue = annotation(serviceAccount, AZURE_CLIENT_ID_ANNOTATION);
  if (clientIDValue === '') {
    throw new Fault(
      'azure-identity-missing',
      `ServiceAccount ${name} has no annotation ${AZURE_CLIENT_ID_ANNOTATION}`,
      {
        remedy: `Annotate it: ${AZURE_CLIENT_ID_ANNOTATION}=CLIENT_ID of an application or managed identity.`,
      },
    );
  }
  const clientID = parseClientID(clientIDValue);
  if (clientID === undefined) {
    throw invalid(name, AZURE_CLIENT_ID_ANNOTATION, clientIDValue, 'a GUID');
  }
  const tenantIDValue = annotation(serviceAccount, AZURE_TENANT_ID_ANNOTATION) || (defaultTenantID ?? '');
  if (tenantIDValue === '') {
    throw new Fault(
      'azure-identity-missing',
      `ServiceAccount ${name} has no annotation ${AZURE_TENANT_ID_ANNOTATION}, and there is no default tenant`,
      { remedy: `Annotate it: ${AZURE_TENANT_ID_ANNOTATION}=TENANT_ID, or set --azure-tenant-id.` },
    );
  }
  const tenantID = parseTenantID(tenantIDValue);
  if (tenantID === undefined) {
    throw invalid(name, AZURE_TENANT_ID_ANNOTATION, tenantIDValue, 'a GUID or a domain');
  }
  return { clientID, tenantID };
}

function invalid(serviceAccount: string, key: string, value: string, expected: string): Fault {
  return new Fault(
    'azure-identity-invalid',
    `the annotation ${key} of ServiceAccount ${serviceAccount} is not ${expected}: ${escaped(value, 100)}`,
    { remedy: `Set it to ${expected}.` },
  );
}

/** The value, trimmed of the white space that YAML's `|` and editors leave. */
function annotation({ annotations }: Pick<ServiceAccount, 'annotations'>, key: string): string {
  return (annotations[key] ?? '').trim();
}
