import { createHash } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import type { Effects } from '../core/effects.ts';
import { printable } from '../core/printable.ts';

/** Whose token it is. */
export interface PodToken {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly podUID: string;
}

/** Not a token of a Pod for this audience. The message is for the client, and holds nothing of the token. */
export class TokenRejected extends Error {
  constructor(
    readonly reason: 'unparsable' | 'invalid',
    message: string,
  ) {
    super(message);
  }
}

interface PodTokensOptions {
  /** The cluster's public keys. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  readonly readKeys: () => Promise<JSONWebKeySet>;
  readonly audience: string;
  readonly effects: Pick<Effects, 'now'>;
}

interface Verified {
  readonly token: PodToken;
  readonly expiresAt: number;
}

const LONGEST_TOKEN = 16_384;
const MOST_REMEMBERED = 1024;
/** Milliseconds between two reads of the keys, however many tokens name an unknown one. */
const KEYS_REST = 10_000;

/**
 * Tokens of Pods that clients send: verified by the cluster's keys, its ServiceAccount names and the Pod they are bound to.
 * That the Pod still exists, whoever asks has to check.
 */
export class PodTokens {
  readonly #options: PodTokensOptions;
  #keys: JSONWebKeySet | undefined;
  #reading: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  /** By digest, so that no token is kept. */
  readonly #verified = new Map<string, Verified>();

  constructor(options: PodTokensOptions) {
    this.#options = options;
  }

  /** Whose token it is, if it was verified before and has not expired. */
  known(token: string): PodToken | undefined {
    const verified = this.#verified.get(digestOf(token));
    return verified !== undefined && this.#options.effects.now() < verified.expiresAt
      ? verified.token
      : undefined;
  }

  /** Throws {@link TokenRejected}, and what reading the keys throws. */
  async verify(token: string): Promise<PodToken> {
    if (token.length > LONGEST_TOKEN) throw new TokenRejected('unparsable', 'it is too long');
    const known = this.known(token);
    if (known !== undefined) return known;
    const verified = await this.#verifyAnew(token);
    this.#remember(digestOf(token), verified);
    return verified.token;
  }

  async #verifyAnew(token: string): Promise<Verified> {
    if (this.#keys === undefined) await this.#readKeys();
    try {
      return await this.#check(token);
    } catch (error) {
      // signed by a key that the cluster has got since
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw rejected(error);
      await this.#readKeys();
      return this.#check(token).catch((again: unknown) => {
        throw rejected(again);
      });
    }
  }

  async #check(token: string): Promise<Verified> {
    const { audience, effects } = this.#options;
    const { payload } = await jwtVerify(token, createLocalJWKSet(this.#keys ?? { keys: [] }), {
      audience,
      currentDate: new Date(effects.now()),
      requiredClaims: ['exp', 'sub'],
    });
    return { token: podOf(payload), expiresAt: (payload.exp ?? 0) * 1000 };
  }

  /** At most once in a while: what names an unknown key may be anything. */
  async #readKeys(): Promise<void> {
    const { readKeys, effects } = this.#options;
    if (this.#keys !== undefined && effects.now() - this.#readAt < KEYS_REST) return;
    this.#reading ??= readKeys()
      .then((keys) => {
        this.#keys = keys;
        this.#readAt = effects.now();
      })
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }

  #remember(digest: string, verified: Verified): void {
    this.#verified.delete(digest);
    this.#verified.set(digest, verified);
    const [oldest] = this.#verified.keys();
    if (this.#verified.size > MOST_REMEMBERED && oldest !== undefined) this.#verified.delete(oldest);
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

/** Claims of a token that is bound to a Pod: pkg/serviceaccount/claims.go of Kubernetes. */
function podOf(payload: JWTPayload): PodToken {
  const kubernetes = member(payload, 'kubernetes.io');
  const namespace = member(kubernetes, 'namespace');
  const serviceAccountName = member(member(kubernetes, 'serviceaccount'), 'name');
  const podUID = member(member(kubernetes, 'pod'), 'uid');
  if (typeof namespace !== 'string' || typeof serviceAccountName !== 'string' || typeof podUID !== 'string') {
    throw new TokenRejected('invalid', 'it is not bound to a Pod');
  }
  return { namespace, serviceAccountName, podUID };
}

function rejected(error: unknown): unknown {
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return new TokenRejected('unparsable', 'it is not a JWT');
  }
  if (!(error instanceof errors.JOSEError)) return error;
  return new TokenRejected('invalid', printable(error.message, 200));
}

function member(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined;
}
