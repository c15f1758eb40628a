import type { Sleep } from '../core/effects.ts';
import { RESET } from './listener.ts';

/** An HTTP status, no answer at all, or a connection that is cut before the answer. */
export type Failure = number | 'hang' | 'reset';

/** What a person or a test turns to make one part of a stand-in slow or faulty. */
export class FaultSwitch {
  /** Each call waits so long before it is looked at. */
  delayMilliseconds = 0;
  #failure: Failure | undefined;
  #remaining = 0;
  readonly #hanging = new Set<() => void>();

  /** The next `times` calls fail so; all of them by default, until {@link heal}. */
  failWith(failure: Failure, times = Number.POSITIVE_INFINITY): void {
    this.#failure = failure;
    this.#remaining = times;
  }

  /** Calls succeed again; those that hang go on as if nothing had been. */
  heal(): void {
    this.#failure = undefined;
    this.#remaining = 0;
    for (const release of [...this.#hanging]) release();
  }

  /** The answer that the switch stands for, or undefined where the call is to be served. */
  async intercept(
    request: Request,
    sleep: Sleep,
    refusal: (status: number) => Response,
  ): Promise<Response | typeof RESET | undefined> {
    if (this.delayMilliseconds > 0) await sleep(this.delayMilliseconds);
    if (this.#failure === undefined || this.#remaining <= 0) return undefined;
    this.#remaining -= 1;
    if (this.#failure === 'reset') return RESET;
    if (typeof this.#failure === 'number') return refusal(this.#failure);
    await new Promise<void>((resolve) => {
      const release = () => {
        this.#hanging.delete(release);
        resolve();
      };
      this.#hanging.add(release);
      request.signal.addEventListener('abort', release, { once: true });
    });
    return request.signal.aborted ? RESET : undefined;
  }
}
