import { Fault, type FaultCode } from '../core/fault.ts';

export interface UpstreamFaultFacts {
  readonly remedy: string;
  /** Whether the same request may succeed when it is made again. */
  readonly transient: boolean;
  /** The HTTP status of the response; undefined if none came. */
  readonly status?: number | undefined;
  /** The `Retry-After` of the response in milliseconds, if it had one. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** A cloud refused, or did not respond. Each cloud has its own subclass, with its own words. */
export class UpstreamFault extends Fault {
  readonly transient: boolean;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: FaultCode, message: string, facts: UpstreamFaultFacts) {
    super(code, message, { remedy: facts.remedy, cause: facts.cause });
    this.name = 'UpstreamFault';
    this.transient = facts.transient;
    this.status = facts.status;
    this.retryAfter = facts.retryAfter;
  }
}
