/** What YAML has of JSON's values. */
type Value = unknown;

/**
 * Objects as documents of YAML 1.1, as Kubernetes' tools read it: what they could take for something else than a text
 * is in quotes, and a text of several lines stands as such.
 */
export function yamlDocuments(objects: readonly Value[]): string {
  return objects.map((object) => ['---', ...linesOf(object, ''), ''].join('\n')).join('');
}

/** Without quotes only where every reader takes it for a text. */
export function yamlScalar(value: string): string {
  const isText =
    /^[A-Za-z][A-Za-z0-9 ._/-]*$/.test(value) && !/^(true|false|yes|no|on|off|null|y|n)$|\s$/i.test(value);
  return isText ? value : JSON.stringify(value);
}

/** A text of several lines as a literal block: its header, and its lines; undefined where it cannot be one. */
export function literalBlock(
  text: string,
): { readonly header: string; readonly lines: readonly string[] } | undefined {
  // what such a block cannot have, or not alone
  if (!text.includes('\n') || /^\n|\n$|[^\n\x20-\x7e\u00a0-\ud7ff]|\n\s+(\n|$)/.test(text)) return undefined;
  return { header: text.startsWith(' ') ? '|2-' : '|-', lines: text.split('\n') };
}

function linesOf(value: Value, indent: string): readonly string[] {
  if (Array.isArray(value)) {
    return value.flatMap((element) => {
      const [first = '', ...rest] = isFilled(element)
        ? linesOf(element, `${indent}  `)
        : after('', element, indent);
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  return Object.entries(Object(value)).flatMap(([key, inner]) => {
    const name = `${indent}${yamlScalar(key)}:`;
    return isFilled(inner) ? [name, ...linesOf(inner, `${indent}  `)] : after(name, inner, indent);
  });
}

/** What stands behind its key on one line, but for a text's own lines. */
function after(front: string, value: Value, indent: string): readonly string[] {
  if (typeof value !== 'string') return [`${front} ${JSON.stringify(value)}`];
  const block = literalBlock(value);
  if (block === undefined) return [`${front} ${yamlScalar(value)}`];
  return [
    `${front} ${block.header}`,
    ...block.lines.map((line) => (line === '' ? '' : `${indent}  ${line}`)),
  ];
}

function isFilled(value: Value): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}
