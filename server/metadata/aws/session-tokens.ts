import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Now } from '../../core/effects.ts';

/** Seconds, as on EC2. */
export const LONGEST_SESSION = 21_600;

const EXPIRY_BYTES = 8;
const DIGEST_BYTES = 32;

/**
 * The session tokens of version 2 of EC2's metadata service. A token holds its expiry and is bound to one caller by a
 * keyed digest, so none is kept: the server that replaces this one on the Node, with the same key, honours it.
 */
export class SessionTokens {
  constructor(
    private readonly key: Uint8Array,
    private readonly now: Now,
  ) {}

  /** A token for the caller with this UID; `seconds` is at most {@link LONGEST_SESSION}. */
  issue(uid: string, seconds: number): string {
    const expiry = Buffer.alloc(EXPIRY_BYTES);
    expiry.writeBigUInt64BE(BigInt(Math.floor(this.now() / 1000) + seconds));
    return Buffer.concat([expiry, this.#digest(expiry, uid)]).toString('base64url');
  }

  /**
   * When a token expires that was issued to the caller with this UID, milliseconds since the epoch; undefined if it was
   * not, or has expired.
   */
  expiryOf(token: string, uid: string): number | undefined {
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length !== EXPIRY_BYTES + DIGEST_BYTES) return undefined;
    const expiry = bytes.subarray(0, EXPIRY_BYTES);
    if (!timingSafeEqual(bytes.subarray(EXPIRY_BYTES), this.#digest(expiry, uid))) return undefined;
    const expiresAt = Number(expiry.readBigUInt64BE()) * 1000;
    return expiresAt > this.now() ? expiresAt : undefined;
  }

  #digest(expiry: Uint8Array, uid: string): Buffer {
    return createHmac('sha256', this.key).update(expiry).update(uid).digest();
  }
}
