/**
 * The first line of a text from outside, as printable ASCII and at most `limit` characters:
 * fit for a message, a log line or a plain-text answer.
 */
export function printable(text: string, limit: number): string {
  const line =
    text
      .slice(0, 4 * limit)
      .trimStart()
      .split(/[\r\n]/, 1)[0] ?? '';
  const clean = line.replace(/[^\x20-\x7e]/g, '?').trimEnd();
  return clean.length <= limit ? clean : `${clean.slice(0, limit - 3)}...`;
}
