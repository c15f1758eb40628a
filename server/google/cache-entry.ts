import { cooldown } from './failure.ts';
import type { ExpiringToken } from './tokens.ts';

const LONGEST_LEAD = 10 * 60_000;
/** How long after its cooldown a failure still counts as the one before. */
const FAILURE_MEMORY = 30_000;

interface KeptFailure {
  readonly error: unknown;
  readonly until: number;
  /** In a row. */
  readonly count: number;
}

/** One place of a {@link TokenCache}: a token, the failure to get one, or both while a refresh fails. */
export class CacheEntry<Owner> {
  /** Who asked last: a refresh is made in its name, as those before it may be gone. */
  owner: Owner;
  /** Milliseconds since the epoch. */
  usedAt: number;
  /** Since the token was fetched. */
  used = true;
  flight: Promise<ExpiringToken> | undefined;
  #token: ExpiringToken | undefined;
  #failure: KeptFailure | undefined;
  #refreshAt = 0;
  #endsAt = 0;

  constructor(
    readonly key: string,
    owner: Owner,
    now: number,
  ) {
    this.owner = owner;
    this.usedAt = now;
  }

  touch(owner: Owner, now: number): void {
    this.owner = owner;
    this.usedAt = now;
    this.used = true;
  }

  /** The token where it may be handed out. */
  live(now: number): ExpiringToken | undefined {
    return now < this.#endsAt ? this.#token : undefined;
  }

  /** The failure where it is the answer. */
  failure(now: number): KeptFailure | undefined {
    return this.#failure !== undefined && now < this.#failure.until ? this.#failure : undefined;
  }

  /** `jitter` in [0, 1) places the refresh in the first half of its lead. */
  succeed(token: ExpiringToken, minimumLife: number, now: number, jitter: number): void {
    this.#token = token;
    this.#failure = undefined;
    this.#endsAt = token.expiresAt - minimumLife;
    const lead = Math.min(LONGEST_LEAD, (this.#endsAt - now) / 4);
    this.#refreshAt = this.#endsAt - lead * (1 - jitter / 2);
  }

  fail(error: unknown, now: number): void {
    const count = (this.#failure?.count ?? 0) + 1;
    this.#failure = { error, count, until: now + cooldown(error, count) };
  }

  /** Whether to fetch it anew while the old one is still good. */
  isDue(now: number): boolean {
    if (this.flight !== undefined || !this.used) return false;
    return now >= this.#refreshAt && now < this.#endsAt && this.failure(now) === undefined;
  }

  /** Whether there is nothing left to keep. */
  isOver(now: number): boolean {
    if (this.flight !== undefined || now < this.#endsAt) return false;
    return this.#failure === undefined || now >= this.#failure.until + FAILURE_MEMORY;
  }
}
