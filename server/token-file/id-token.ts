import { decodeJwt } from 'jose/jwt/decode';
import { Secret } from '../core/secret.ts';

/** A Google ID token and when it expires. */
export interface IdToken {
  readonly token: Secret;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
}

/** The longest `WebIdentityToken` that AWS STS accepts. */
export const LONGEST_TOKEN = 20_000;

/**
 * The token in a text, unverified: the metadata server is trusted, and whoever is given the token verifies it. Undefined
 * if the text is not a JWT with an expiry.
 */
export function parseIdToken(text: string): IdToken | undefined {
  if (text.length > LONGEST_TOKEN) return undefined;
  try {
    const { exp } = decodeJwt(text);
    return exp === undefined ? undefined : { token: new Secret(text), expiresAt: exp * 1000 };
  } catch {
    return undefined;
  }
}
