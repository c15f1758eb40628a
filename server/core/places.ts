/**
 * Places that holders share, with a limit for one holder and a limit for all. A holder without a place gets one even if
 * all are taken, so holders with many never keep out others; the number of holders must be bounded elsewhere.
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

  /** Takes a place until the returned function is called; undefined if none is left for this holder. */
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
