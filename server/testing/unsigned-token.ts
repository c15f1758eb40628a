/** A JWT with these claims, which no issuer has signed. */
export function unsignedToken(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', kid: 'none' })}.${part(claims)}.c2lnbmF0dXJl`;
}
