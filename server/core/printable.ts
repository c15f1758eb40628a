/**
 * The first line of a text from outside, as printable ASCII and at most `limit` characters:
 * fit for a message, a log line or a plain-text response.
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
 * A text from outside in quotes, for a message about an invalid value: characters that cannot be seen or look like others
 * are escaped, and it is cut after `limit` characters.
 */
export function escaped(text: string, limit: number): string {
  const quoted = JSON.stringify(text.slice(0, limit)).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length <= limit ? quoted : `${quoted}...`;
}
