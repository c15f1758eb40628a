/** A credential of whatever cloud, and when it expires: milliseconds since the epoch. */
export interface Expiring {
  readonly expiresAt: number;
}

/** Far beyond the longest life of any cloud's credential, and any difference between two clocks. */
const ABSURD = 48 * 3_600_000;

/**
 * When a credential expires that was asked for at `askedAt` and that its cloud says to expire at `claimed`: by this
 * machine's clock no later than `longest` after it was asked for. Undefined if it has expired already, or if that is
 * not a time at which a credential can expire. All in milliseconds.
 */
export function expiryOf(claimed: number, askedAt: number, now: number, longest: number): number | undefined {
  if (!Number.isFinite(claimed) || claimed <= now || claimed > askedAt + ABSURD) return undefined;
  return Math.min(claimed, askedAt + longest);
}
