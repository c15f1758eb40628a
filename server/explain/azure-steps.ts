import { type AzureIdentity, azureIdentityOf } from '../azure/azure-identity.ts';
import { AzureTokens, type AzureTokensSettings } from '../azure/azure-tokens.ts';
import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { NotNeeded, type Told } from './steps.ts';

/** Every tenant knows it, and a token for it alone allows nothing. */
const RESOURCE = 'https://management.azure.com/';

/** Who a caller is in Azure. */
interface AzureTarget {
  readonly caller: Caller;
  readonly identity: AzureIdentity;
}

/** What the annotations say. Throws `azure-identity-invalid`, and {@link NotNeeded} if there are none. */
export function azureAnnotated(caller: Caller, { azure }: AzureTokensSettings): Told<AzureTarget> {
  try {
    const identity = azureIdentityOf(caller, azure.tenantID);
    const facts = { clientID: identity.clientID, tenantID: identity.tenantID };
    return {
      value: { caller, identity },
      summary: `client ${identity.clientID} of tenant ${identity.tenantID}`,
      facts,
    };
  } catch (error) {
    if (error instanceof Fault && error.code === 'azure-identity-missing') throw new NotNeeded(error.message);
    throw error;
  }
}

/** A token as the server gets it, with a cache that shares nothing with the running server. */
export async function azureTokenGiven(
  { caller, identity }: AzureTarget,
  settings: AzureTokensSettings,
  kubernetes: KubernetesClient,
  effects: Effects,
): Promise<Told<void>> {
  const tokens = new AzureTokens(settings, {
    kubernetes,
    effects,
    events: { exchanged() {}, exchangeThrottled() {}, cacheLookedUp() {} },
    limits: { enter: () => () => {} },
    log: { debug() {}, warn() {}, error() {} },
    refused() {},
  });
  const { expiresAt } = await tokens.token(caller, { resource: RESOURCE, clientID: undefined });
  const facts = { of: identity.clientID, resource: RESOURCE, expiresAt: new Date(expiresAt).toISOString() };
  return { value: undefined, summary: `of client ${identity.clientID}`, facts };
}
