import { Fault, type FaultCode } from '../core/fault.ts';
import { type ExplainCode, type ExplainedStep, STEP_TITLES, type StepName } from './explanation.ts';

/** A step that was looked at, for those that need it. */
export interface Step<T> {
  /** Undefined if it is not ok. */
  readonly found: { readonly value: T } | undefined;
  /** The step whose failure is the reason of that: itself, or one before it. */
  readonly failed: StepName | undefined;
}

/** A step that is ok: what others need of it, and what to report. */
export type Told<T> = { readonly value: T } & Pick<ExplainedStep, 'summary' | 'remedy' | 'facts'>;

type Values<Needs extends readonly Step<unknown>[]> = {
  [Index in keyof Needs]: Needs[Index] extends Step<infer T> ? T : never;
};

/** Thrown by a step: it failed. So is a {@link Fault}. */
export class StepFailure extends Error {
  constructor(
    readonly code: FaultCode | ExplainCode,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** Thrown by a step: there is nothing to do, for the reason given. */
export class NotNeeded extends Error {}

/** Takes one step after the other, and keeps what there is to tell. */
export class Steps {
  readonly #explained: ExplainedStep[] = [];

  get explained(): readonly ExplainedStep[] {
    return this.#explained;
  }

  /** Takes a step with the values of those it needs; if one of them is not ok, it is not reached. */
  async take<T, Needs extends readonly Step<unknown>[]>(
    step: StepName,
    needs: readonly [...Needs],
    work: (...values: Values<Needs>) => Told<T> | Promise<Told<T>>,
  ): Promise<Step<T>> {
    const unmet = needs.find(({ found }) => found === undefined);
    if (unmet !== undefined) {
      const { failed } = unmet;
      const summary = failed === undefined ? 'not needed' : `needs ${STEP_TITLES[failed]}`;
      this.#explained.push({ step, outcome: 'not-reached', summary });
      return { found: undefined, failed };
    }
    try {
      // none of them is unmet, so the values are those of the needs, one by one
      const { value, ...told } = await work(...(needs.map(({ found }) => found?.value) as Values<Needs>));
      this.#explained.push({ step, outcome: 'ok', ...told });
      return { found: { value }, failed: undefined };
    } catch (error) {
      if (error instanceof NotNeeded) {
        this.#explained.push({ step, outcome: 'not-reached', summary: error.message });
        return { found: undefined, failed: undefined };
      }
      if (!(error instanceof Fault || error instanceof StepFailure)) throw error;
      const { code, message: summary, remedy } = error;
      this.#explained.push({ step, outcome: 'failed', summary, code, remedy });
      return { found: undefined, failed: step };
    }
  }
}
