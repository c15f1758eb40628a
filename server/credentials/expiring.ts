/** A credential of whatever cloud, and when it expires: milliseconds since the epoch. */
export interface Expiring {
  readonly expiresAt: number;
}
