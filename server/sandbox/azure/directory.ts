import { EntraRefusal } from './error.ts';

interface TenantOptions {
  readonly id: string;
  readonly name: string;
  /** Names that URLs may have instead of the ID. */
  readonly domains?: readonly string[];
}

interface IdentityOptions {
  readonly tenantID: string;
  readonly clientID: string;
  /** An app registration's tokens live about an hour, a managed identity's a day. */
  readonly kind: 'application' | 'managed identity';
}

/** Which tokens of another issuer may be exchanged for the identity's: each field matches exactly. */
export interface FederatedCredential {
  readonly issuer: string;
  readonly subject: string;
  /** By default `api://AzureADTokenExchange`. */
  readonly audience?: string;
}

interface Tenant extends TenantOptions {
  readonly identities: Map<string, Identity>;
}

export interface Identity extends IdentityOptions {
  /** `oid` and `sub` of its tokens. */
  readonly objectID: string;
  readonly federatedCredentials: Required<FederatedCredential>[];
}

// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations#general-federated-identity-credential-considerations
const MAX_FEDERATED_CREDENTIALS = 20;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const DOMAIN = /^(?:[a-z0-9-]+\.)+[a-z]{2,}$/i;

/** Tenants, and the identities in them. */
export class Directory {
  readonly #tenants: Tenant[] = [];

  addTenant(tenant: TenantOptions): void {
    this.#tenants.push({ ...tenant, identities: new Map() });
  }

  addIdentity(options: IdentityOptions): void {
    const { identities } = this.tenant(options.tenantID);
    identities.set(options.clientID.toLowerCase(), {
      ...options,
      objectID: crypto.randomUUID(),
      federatedCredentials: [],
    });
  }

  /** Throws after the twentieth of an identity, as Azure does. */
  addFederatedCredential(tenantID: string, clientID: string, credential: FederatedCredential): void {
    const { federatedCredentials } = this.identity(this.tenant(tenantID), clientID);
    if (federatedCredentials.length >= MAX_FEDERATED_CREDENTIALS) {
      throw new Error(`an identity has at most ${MAX_FEDERATED_CREDENTIALS} federated credentials`);
    }
    federatedCredentials.push({ audience: 'api://AzureADTokenExchange', ...credential });
  }

  /** By ID or domain. Throws a refusal if there is none. */
  tenant(name: string): Tenant {
    if (!UUID.test(name) && !DOMAIN.test(name)) {
      throw new EntraRefusal(
        900023,
        'invalid_request',
        `Specified tenant identifier '${name}' is neither a valid DNS name, nor a valid external domain.`,
      );
    }
    const wanted = name.toLowerCase();
    const tenant = this.#tenants.find(({ id, domains = [] }) => [id, ...domains].includes(wanted));
    if (tenant !== undefined) return tenant;
    throw new EntraRefusal(
      90002,
      'invalid_request',
      `Tenant '${name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct ` +
        'cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for ' +
        'the tenant.',
    );
  }

  /** Throws a refusal if the tenant has no such identity. */
  identity(tenant: Tenant, clientID: string): Identity {
    const identity = tenant.identities.get(clientID.toLowerCase());
    if (identity !== undefined) return identity;
    throw new EntraRefusal(
      700016,
      'unauthorized_client',
      `Application with identifier '${clientID}' was not found in the directory '${tenant.name}'. This can happen if ` +
        'the application has not been installed by the administrator of the tenant or consented to by any user in the ' +
        'tenant. You may have sent your authentication request to the wrong tenant.',
    );
  }
}
