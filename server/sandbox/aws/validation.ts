import { AwsRefusal } from './error.ts';

type Check = (value: string) => string | undefined;

/** The constraints of a parameter, as STS names it in its errors. */
export interface Constraint {
  readonly field: string;
  readonly value: string | null;
  readonly checks: readonly Check[];
  readonly isRequired?: boolean;
  /** Its value is left out of errors. */
  readonly isSensitive?: boolean;
}

/** Throws one ValidationError for all constraints that are not met, in the words of AWS's services. */
export function validate(constraints: readonly Constraint[]): void {
  const failures = constraints.flatMap(
    ({ field, value, checks, isRequired = false, isSensitive = false }) => {
      if (value === null) return isRequired ? [failure('Value null', field, 'Member must not be null')] : [];
      const shown = isSensitive ? 'Value' : `Value '${value}'`;
      return checks.flatMap((check) => {
        const reason = check(value);
        return reason === undefined ? [] : [failure(shown, field, reason)];
      });
    },
  );
  if (failures.length === 0) return;
  const count = `${failures.length} validation error${failures.length === 1 ? '' : 's'}`;
  throw new AwsRefusal('ValidationError', `${count} detected: ${failures.join('; ')}`);
}

function failure(shown: string, field: string, reason: string): string {
  return `${shown} at '${field}' failed to satisfy constraint: ${reason}`;
}

export function length(minimum: number, maximum: number): Check {
  return (value) => outside(value.length, minimum, maximum, 'length');
}

export function number(minimum: number, maximum: number): Check {
  return (value) =>
    /^-?\d{1,15}$/.test(value)
      ? outside(Number(value), minimum, maximum, 'value')
      : 'Member must be an integer';
}

/** `text` is how AWS writes the pattern. */
export function pattern(expression: RegExp, text: string): Check {
  return (value) =>
    expression.test(value) ? undefined : `Member must satisfy regular expression pattern: ${text}`;
}

function outside(measured: number, minimum: number, maximum: number, what: string): string | undefined {
  if (measured < minimum) return `Member must have ${what} greater than or equal to ${minimum}`;
  if (measured > maximum) return `Member must have ${what} less than or equal to ${maximum}`;
  return undefined;
}
