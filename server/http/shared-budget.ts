export interface BudgetLimits {
  readonly all: number;
  readonly onePeer: number;
}

/** An amount that peers share: so much for all of them, and so much for each. */
export class SharedBudget {
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
