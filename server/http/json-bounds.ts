interface JsonBounds {
  /** Of objects and lists in each other. */
  readonly depth: number;
  /** Elements of lists and fields of objects, together. */
  readonly values: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Why a JSON text exceeds the bounds for parsing, or undefined. It scans the bytes once and allocates nothing: a few
 * megabytes of JSON can become a hundred times as much once parsed. It does not check that the text is valid JSON.
 */
export function excessOf(json: Uint8Array, { depth: deepest, values: most }: JsonBounds): string | undefined {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = endOfString(json, at);
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      values++;
      if (++depth > deepest) return `it is nested deeper than ${deepest}`;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      depth--;
    } else if (byte === COMMA) {
      values++;
    }
    if (values > most) return `it has more than ${most} values`;
  }
  return undefined;
}

/** The index of the quote that ends the string whose first quote is at `start`. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
