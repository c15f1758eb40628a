import {
  compactVerify,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';

/** What can be wrong with a token's signature, or with the keys to check it. */
type SignatureProblem = 'unpublished' | 'unreachable' | 'unknown key' | 'invalid';

/** The keys that issuers publish, as a cloud finds them through `ISSUER/.well-known/openid-configuration`. */
export class IssuerKeys {
  readonly #keys = new Map<string, JWTVerifyGetKey>();

  /** The keys as they are now: publish again after a rotation. A URL is fetched when a token arrives. */
  publish(issuer: string, jwks: JSONWebKeySet | URL): void {
    this.#keys.set(issuer, jwks instanceof URL ? createRemoteJWKSet(jwks) : createLocalJWKSet(jwks));
  }

  /** Undefined if one of the issuer's keys has signed the token; its claims are not looked at. */
  async check(issuer: string, token: string): Promise<SignatureProblem | undefined> {
    const keys = this.#keys.get(issuer);
    if (keys === undefined) return 'unpublished';
    try {
      await compactVerify(token, keys, { algorithms: ['RS256', 'ES256'] });
      return undefined;
    } catch (error) {
      return problemOf(error);
    }
  }
}

function problemOf(error: unknown): SignatureProblem {
  if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) return 'unreachable';
  const isUnknown =
    error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
  return isUnknown ? 'unknown key' : 'invalid';
}

/** The claims of a JWT, unverified; undefined if it is not one. */
export function readClaims(token: string): JWTPayload | undefined {
  try {
    return decodeJwt(token);
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
