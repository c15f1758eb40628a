/** A token bucket: so many at once, and then as many as come back with time. Full at first. */
export class TokenBucket {
  #tokens: number;
  #countedAt: number;

  constructor(
    private readonly burst: number,
    private readonly perMinute: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#countedAt = now;
  }

  /** Milliseconds until there is a token; 0 if there is one. */
  wait(now: number): number {
    this.#refill(now);
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / this.perMinute) * 60_000;
  }

  /** Takes one if there is one. */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #refill(now: number): void {
    // a clock that is set back takes nothing away
    const passed = Math.max(0, now - this.#countedAt);
    this.#countedAt = now;
    this.#tokens = Math.min(this.burst, this.#tokens + (passed / 60_000) * this.perMinute);
  }
}
