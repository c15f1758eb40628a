export interface ConnectionLimits {
  readonly all: number;
  readonly onePeer: number;
}

/** An open connection, as far as it matters for who has to give way. */
interface Closable {
  readonly isIdle: boolean;
  destroy(): void;
}

/**
 * The open connections, within a limit for all and for one peer. If all are taken, a peer that has fewer gets the
 * place of the one that has most: nobody can keep the others out.
 */
export class OpenConnections<T extends Closable> implements Iterable<T> {
  #size = 0;
  readonly #byPeer = new Map<string, Set<T>>();

  constructor(private readonly limits: ConnectionLimits) {}

  /** False if the limits leave no place for it. */
  add(peer: string, connection: T): boolean {
    const own = this.#byPeer.get(peer)?.size ?? 0;
    if (own >= this.limits.onePeer) return false;
    if (this.#size >= this.limits.all && !this.#makeRoom(own + 1)) return false;
    const connections = this.#byPeer.get(peer) ?? new Set();
    this.#byPeer.set(peer, connections.add(connection));
    this.#size++;
    return true;
  }

  remove(peer: string, connection: T): void {
    const connections = this.#byPeer.get(peer);
    if (connections?.delete(connection) !== true) return;
    this.#size--;
    if (connections.size === 0) this.#byPeer.delete(peer);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const connections of this.#byPeer.values()) yield* connections;
  }

  /** Ends a connection of the peer that has most, if it has more than `share`: an idle one if there is one. */
  #makeRoom(share: number): boolean {
    const [largest] = [...this.#byPeer].sort(([, a], [, b]) => b.size - a.size);
    if (largest === undefined || largest[1].size <= share) return false;
    const [peer, connections] = largest;
    const candidates = [...connections];
    const victim = candidates.find(({ isIdle }) => isIdle) ?? candidates[0];
    if (victim === undefined) return false;
    this.remove(peer, victim);
    victim.destroy();
    return true;
  }
}
