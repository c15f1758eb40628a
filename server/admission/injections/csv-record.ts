/** A field in quotes, in which `""` is a quote, or one without; then a comma, or the end of the record. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

/**
 * The fields of the first record of a CSV text, as encoding/csv of Go reads it: not trimmed. Undefined if a quote is
 * out of place.
 */
export function parseCsvRecord(text: string): string[] | undefined {
  const fields: string[] = [];
  const field = new RegExp(FIELD);
  field.lastIndex = /^[\r\n]*/.exec(text)?.[0].length ?? 0;
  for (;;) {
    const match = field.exec(text);
    if (match === null) return undefined;
    const [, quoted, bare = '', end] = match;
    fields.push(quoted?.replaceAll('""', '"') ?? bare);
    if (end !== ',') return fields;
  }
}
