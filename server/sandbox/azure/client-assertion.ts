import type { JWTPayload } from 'jose';
import type { Now } from '../../core/effects.ts';
import { type IssuerKeys, readClaims } from '../issuer-keys.ts';
import type { FederatedCredential, Identity } from './directory.ts';
import { EntraRefusal } from './error.ts';

const CHECK =
  'Check your federated identity credential Subject, Audience and Issuer against the presented assertion. ' +
  'https://learn.microsoft.com/entra/workload-id/workload-identity-federation';
// Entra's tolerance for clocks
const MAX_SKEW_SECONDS = 300;

/** Checks that a token of another issuer is one that the identity federates with. Throws a refusal if it is not. */
export async function checkClientAssertion(
  identity: Identity,
  assertion: string,
  issuers: IssuerKeys,
  now: Now,
): Promise<void> {
  const claims = requireClaims(readClaims(assertion));
  const { clientID, federatedCredentials } = identity;
  if (federatedCredentials.length === 0) {
    throw refusal(70025, `The client '${clientID}' has no configured federated identity credentials.`);
  }
  match(federatedCredentials, claims);
  const problem = await issuers.check(claims.iss, assertion);
  if (problem === 'unpublished' || problem === 'unreachable') {
    throw new EntraRefusal(501661, 'invalid_request', 'Request to External OIDC endpoint failed.');
  }
  if (problem === 'unknown key') {
    throw refusal(
      7000272,
      'The certificate used to sign the federated credential could not be found in the metadata of identity provider ' +
        `${claims.iss}. Please validate that your Identity Provider's metadata exposes the key used to sign the ` +
        'incoming token.',
    );
  }
  if (problem === 'invalid') {
    throw refusal(
      700027,
      'Client assertion failed signature validation. [Reason - The provided signature value did not match the ' +
        'expected signature value.]',
    );
  }
  checkTimes(claims, now);
}

interface Claims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | string[];
  readonly exp: number;
  readonly nbf: number;
}

function requireClaims(claims: JWTPayload | undefined): Claims {
  const { iss, sub, aud, exp, nbf = 0 } = claims ?? {};
  if (iss === undefined || sub === undefined || aud === undefined || exp === undefined) {
    throw new EntraRefusal(50027, 'invalid_request', 'JWT token is invalid or malformed.');
  }
  return { iss, sub, aud, exp, nbf };
}

/** Names the first of issuer, audience and subject that no credential has together with those before it. */
function match(credentials: readonly Required<FederatedCredential>[], { iss, aud, sub }: Claims): void {
  const presented = 'No matching federated identity record found for presented assertion';
  const ofIssuer = credentials.filter(({ issuer }) => issuer === iss);
  if (ofIssuer.length === 0) throw refusal(700211, `${presented} issuer '${iss}'. ${CHECK}`);
  const audiences = [aud].flat();
  const forAudience = ofIssuer.filter(({ audience }) => audiences.includes(audience));
  if (forAudience.length === 0) {
    throw refusal(700212, `${presented} audience '${audiences.join(',')}'. ${CHECK}`);
  }
  if (forAudience.some(({ subject }) => subject === sub)) return;
  if (forAudience.some(({ subject }) => subject.toLowerCase() === sub.toLowerCase())) {
    throw refusal(
      7002138,
      `${presented} subject '${sub}'. The subject matches with case-insensitive comparison, but not with ` +
        `case-sensitive comparison. ${CHECK}`,
    );
  }
  throw refusal(700213, `${presented} subject '${sub}'. ${CHECK}`);
}

function checkTimes({ exp, nbf }: Claims, now: Now): void {
  const seconds = now() / 1000;
  if (exp > seconds - MAX_SKEW_SECONDS && nbf <= seconds + MAX_SKEW_SECONDS) return;
  throw refusal(
    700024,
    `Client assertion is not within its valid time range. Current time: ${precise(now())}, assertion valid from ` +
      `${precise(nbf * 1000)}, expiry time of assertion ${precise(exp * 1000)}. Review the documentation at ` +
      'https://learn.microsoft.com/entra/identity-platform/certificate-credentials .',
  );
}

/** Down to 100 ns, as .NET writes it. */
function precise(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '0000Z');
}

function refusal(code: number, message: string): EntraRefusal {
  return new EntraRefusal(code, 'invalid_client', message);
}
