const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** The seconds of a duration of hours, minutes and seconds, as Go spells it. */
export function secondsOf(duration: string): number {
  const parts = duration.matchAll(/([0-9]+)([hms])/g);
  return [...parts].reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0);
}

/** Helm's expression for the same: its functions know durations only as what is added to a date. */
export function secondsExpression(expression: string): string {
  const epoch = '(toDate "2006-01-02T15:04:05Z07:00" "1970-01-01T00:00:00Z")';
  return `(dateModify ${expression} ${epoch} | unixEpoch | int64)`;
}
