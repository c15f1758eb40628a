import type { AzureFaultCode } from '../core/fault.ts';
import { UpstreamFault } from '../credentials/failure.ts';

/** What Entra's response, or its absence, means. */
type EntraFaultCode = Extract<AzureFaultCode, `entra-${string}`>;

interface AzureFaultFacts {
  /** Undefined if there was no response. */
  readonly status?: number | undefined;
  /** The OAuth 2.0 error code of the response, such as `invalid_client`. */
  readonly error?: string;
  /** The first line of Entra's own description, `AADSTS…`. */
  readonly description?: string;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/**
 * What to do about Entra's own codes that a federated identity meets:
 * https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  [
    'AADSTS700016',
    'Check the client ID and the tenant: the tenant has no such application or managed identity.',
  ],
  ['AADSTS90002', 'Check the tenant ID.'],
  [
    'AADSTS700211',
    "Add a federated credential whose issuer is the cluster's, exactly as kubectl get --raw /.well-known/openid-configuration shows it.",
  ],
  [
    'AADSTS700213',
    'Add a federated credential whose subject is system:serviceaccount:NAMESPACE:NAME of this ServiceAccount; upper and lower case count.',
  ],
  ['AADSTS700212', "Set the federated credential's audience to that of --azure-audience."],
  [
    'AADSTS70021',
    "Add a federated credential with the cluster's issuer and the subject system:serviceaccount:NAMESPACE:NAME.",
  ],
  [
    'AADSTS50166',
    "Entra cannot read the issuer's discovery document or keys. Check that the issuer's URL can be reached from the internet.",
  ],
  ['AADSTS500011', 'Check the resource that the application asks for: the tenant has no such application.'],
]);

const OTHERWISE: Readonly<Record<EntraFaultCode, string>> = {
  'entra-unavailable':
    'Retry. If this persists, check that the Node can reach the authority host of Microsoft Entra.',
  'entra-refused':
    "Read Entra's message, and compare the federated credential with the cluster's issuer and the ServiceAccount.",
};

/** Microsoft Entra refused, or did not respond. Holds Entra's own message, redacted; never a token or a raw body. */
export class AzureFault extends UpstreamFault {
  /** The OAuth 2.0 error code of the response; empty if there is none. */
  readonly error: string;
  /** The first line of Entra's description, printable and bounded; empty if there is none. */
  readonly description: string;

  constructor(code: EntraFaultCode, facts: AzureFaultFacts) {
    const { status, error = '', description = '', retryAfter, cause } = facts;
    const responded = status === undefined ? 'no response from Entra' : `Entra responded ${status}`;
    const [aadsts = ''] = /^AADSTS\d+/.exec(description) ?? [];
    super(code, `${responded} when asked for the access token${description && `: ${description}`}`, {
      remedy: (code === 'entra-refused' ? REMEDIES.get(aadsts) : undefined) ?? OTHERWISE[code],
      transient: code === 'entra-unavailable',
      status,
      retryAfter,
      cause,
    });
    this.name = 'AzureFault';
    this.error = error;
    this.description = description;
  }
}
