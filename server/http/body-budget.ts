interface BudgetLimits {
  readonly all: number;
  readonly onePeer: number;
}

/** An amount that peers share: so much for all of them, and so much for each. */
class SharedBudget {
  #used = 0;
  readonly #byPeer = new Map<string, number>();

  constructor(private readonly limits: BudgetLimits) {}

  /** Takes `amount` for a peer and returns true, or takes nothing if it would exceed a limit. */
  take(peer: string, amount: number): boolean {
    const ofPeer = (this.#byPeer.get(peer) ?? 0) + amount;
    if (this.#used + amount > this.limits.all || ofPeer > this.limits.onePeer) return false;
    this.#used += amount;
    this.#byPeer.set(peer, ofPeer);
    return true;
  }

  /** Gives back what the peer has taken, or a part of it. */
  give(peer: string, amount: number): void {
    this.#used -= amount;
    const left = (this.#byPeer.get(peer) ?? 0) - amount;
    if (left > 0) this.#byPeer.set(peer, left);
    else this.#byPeer.delete(peer);
  }
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes above which a body is a large one. A usual Pod with its managedFields has 4 to 20 KiB. */
export const LARGE_BODY = 128 * KIB;

/**
 * The memory for request bodies, from their first byte until they are answered. Large bodies have a budget of their
 * own: however many come, and also if all clients share one address, there is room for those of usual size.
 */
export class BodyBudget {
  readonly #small = new SharedBudget({ all: 16 * MIB, onePeer: 4 * MIB });
  readonly #large = new SharedBudget({ all: 24 * MIB, onePeer: 12 * MIB });

  /** What one body takes. */
  open(peer: string): BodyShare {
    return new BodyShare(peer, this.#small, this.#large);
  }
}

export class BodyShare {
  #bytes = 0;
  #isClosed = false;

  constructor(
    private readonly peer: string,
    private readonly small: SharedBudget,
    private readonly large: SharedBudget,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** False if `bytes` more do not fit, or it is closed. */
  grow(bytes: number): boolean {
    if (this.#isClosed) return false;
    const grown = this.#bytes + bytes;
    const moves = this.#bytes <= LARGE_BODY && grown > LARGE_BODY;
    const isTaken =
      grown <= LARGE_BODY
        ? this.small.take(this.peer, bytes)
        : this.large.take(this.peer, moves ? grown : bytes);
    if (!isTaken) return false;
    if (moves) this.small.give(this.peer, this.#bytes);
    this.#bytes = grown;
    return true;
  }

  /** Gives everything back. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    (this.#bytes > LARGE_BODY ? this.large : this.small).give(this.peer, this.#bytes);
  }
}

/**
 * A request body that is refused. The message is for its sender. One that is too large is 403, not 413: an API
 * server hands on the text of a 403, and of a 413 only that there was one.
 */
export class BodyRefused extends Error {
  constructor(
    readonly status: 400 | 408 | 403 | 415 | 503,
    message: string,
  ) {
    super(message);
  }
}
