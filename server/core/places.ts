/**
 * Places that holders share: at most so many for one of them, and so many for all. A holder that has none gets one
 * even when all are taken, so those who take many never keep out one who needs one; the holders themselves must
 * be bounded in number.
 */
export class Places {
  readonly #taken = new Map<string, number>();
  #count = 0;

  constructor(
    private readonly mostOfOne: number,
    private readonly mostOfAll: number,
  ) {}

  /** How many are taken. */
  get taken(): number {
    return this.#count;
  }

  /** Takes one, until the returned function is called; undefined if there is none for this holder. */
  take(holder: string): (() => void) | undefined {
    const held = this.#taken.get(holder) ?? 0;
    if (held >= this.mostOfOne || (held > 0 && this.#count >= this.mostOfAll)) return undefined;
    this.#taken.set(holder, held + 1);
    this.#count++;
    return () => {
      const left = (this.#taken.get(holder) ?? 1) - 1;
      this.#count--;
      if (left === 0) this.#taken.delete(holder);
      else this.#taken.set(holder, left);
    };
  }
}
