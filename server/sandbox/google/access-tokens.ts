import type { Now } from '../../core/effects.ts';

/** Who a token speaks for, by the names that IAM policies use. */
export interface Principal {
  readonly kind: 'federated' | 'service-account';
  /** `principal://…/subject/SUBJECT` or `serviceAccount:EMAIL`. */
  readonly member: string;
  /** The sets it belongs to: `principalSet://…/*`. */
  readonly memberOf: readonly string[];
}

export interface AccessToken {
  readonly principal: Principal;
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

// Google's are about so long, and a server that caches them has to hold as much
const RANDOM_BYTES = 760;
const KEPT = 10_000;

/** The access tokens handed out, the latest 10,000: they are opaque, so only their issuer knows what they are. */
export class AccessTokens {
  readonly #issued = new Map<string, AccessToken>();
  readonly #now: Now;

  constructor(now: Now) {
    this.#now = now;
  }

  issue(token: AccessToken): string {
    for (const [value, { expiresAt }] of this.#issued) {
      // insertion order is nearly the order of expiry: what is old goes first
      if (this.#issued.size < KEPT && expiresAt > this.#now()) break;
      this.#issued.delete(value);
    }
    const prefix = token.principal.kind === 'federated' ? 'ya29.d.' : 'ya29.c.';
    const value = `${prefix}${Buffer.from(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))).toString('base64url')}`;
    this.#issued.set(value, token);
    return value;
  }

  /** Undefined where it was never issued, has expired or is forgotten. */
  find(value: string): AccessToken | undefined {
    const token = this.#issued.get(value);
    return token !== undefined && token.expiresAt > this.#now() ? token : undefined;
  }

  get size(): number {
    return this.#issued.size;
  }
}
