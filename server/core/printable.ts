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

/**
 * A text from outside in quotes, with whatever cannot be seen written as an escape (a newline at its end, a control
 * character, a letter that looks like another), cut after `limit` characters: for a value that is wrong.
 */
export function escaped(text: string, limit: number): string {
  const quoted = JSON.stringify(text.slice(0, limit)).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length <= limit ? quoted : `${quoted}...`;
}
