/** What every entry has: when the call arrived, and its HTTP status once it has one. */
export interface Call {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Undefined until the response, and forever if the connection was reset. */
  status: number | undefined;
}

const KEPT = 10_000;

/** The calls to a stand-in, in order: the latest 10,000, and the total number. */
export class Journal<C extends Call> {
  readonly #calls: C[] = [];
  #total = 0;
  readonly #waiting = new Set<() => void>();

  /** Adds a call as it arrives; what becomes known later is written into the same object. */
  record(call: C): C {
    this.#calls.push(call);
    if (this.#calls.length > KEPT) this.#calls.shift();
    this.#total += 1;
    this.#notify();
    return call;
  }

  answered(call: C, status: number): void {
    call.status = status;
    this.#notify();
  }

  get calls(): readonly C[] {
    return this.#calls;
  }

  /** The number of calls since the start or the last {@link clear}, those no longer kept included. */
  get total(): number {
    return this.#total;
  }

  count(matches: (call: C) => boolean): number {
    return this.#calls.filter(matches).length;
  }

  /** Resolves with the first `atLeast` calls that match, as soon as there are that many. */
  async waitFor(matches: (call: C) => boolean, atLeast = 1): Promise<readonly C[]> {
    while (true) {
      const found = this.#calls.filter(matches);
      if (found.length >= atLeast) return found.slice(0, atLeast);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  clear(): void {
    this.#calls.length = 0;
    this.#total = 0;
  }

  #notify(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
