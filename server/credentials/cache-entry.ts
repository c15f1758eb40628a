import type { Random } from '../core/effects.ts';
import type { Expiring } from './credential.ts';
import { cooldown } from './failure.ts';

const LONGEST_LEAD = 10 * 60_000;
/** How long after its cooldown a failure still counts as the previous one. */
const FAILURE_MEMORY = 30_000;

interface KeptFailure {
  readonly error: unknown;
  readonly until: number;
  /** In a row. */
  readonly count: number;
}

/** An entry of a {@link CredentialCache}: a credential, the failure to get one, or both while a refresh fails. */
export class CacheEntry<Owner, Credential extends Expiring> {
  /** Who asked last: a refresh is made in its name, as earlier owners may be gone. */
  owner: Owner;
  /** Milliseconds since the epoch. */
  usedAt: number;
  /** Since the credential was fetched. */
  used = true;
  flight: Promise<Credential> | undefined;
  #credential: Credential | undefined;
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

  /** The credential if it may be handed out. */
  live(now: number): Credential | undefined {
    return now < this.#endsAt ? this.#credential : undefined;
  }

  /** Until when the credential may be handed out, milliseconds since the epoch; undefined if it may not be. */
  liveUntil(now: number): number | undefined {
    return this.live(now) === undefined ? undefined : this.#endsAt;
  }

  /** The failure if it is the response. */
  failure(now: number): KeptFailure | undefined {
    return this.#failure !== undefined && now < this.#failure.until ? this.#failure : undefined;
  }

  /** `jitter` in [0, 1) places the refresh in the first half of its lead. */
  succeed(credential: Credential, minimumLife: number, now: number, jitter: number): void {
    this.#credential = credential;
    this.#failure = undefined;
    this.#endsAt = credential.expiresAt - minimumLife;
    const lead = Math.min(LONGEST_LEAD, (this.#endsAt - now) / 4);
    this.#refreshAt = this.#endsAt - lead * (1 - jitter / 2);
  }

  fail(error: unknown, now: number, random: Random): void {
    const count = (this.#failure?.count ?? 0) + 1;
    this.#failure = { error, count, until: now + cooldown(error, count, random) };
  }

  /** Whether to fetch it again while the old one is still good. */
  needsRefresh(now: number): boolean {
    if (this.flight !== undefined || !this.used) return false;
    return now >= this.#refreshAt && now < this.#endsAt && this.failure(now) === undefined;
  }

  /** Whether there is nothing left to cache. */
  isExpired(now: number): boolean {
    if (this.flight !== undefined || now < this.#endsAt) return false;
    return this.#failure === undefined || now >= this.#failure.until + FAILURE_MEMORY;
  }
}
