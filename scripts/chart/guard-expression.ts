/** An expression of the module's guards: of cue, what they need of it. */
export type GuardExpression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  /** `_|_`: beside `!=`, that something is there. */
  | { readonly kind: 'bottom' }
  | { readonly kind: 'field'; readonly path: string }
  /** A function by its name in cue, or an operator. */
  | { readonly kind: 'call'; readonly name: string; readonly of: readonly GuardExpression[] }
  | { readonly kind: 'text'; readonly parts: readonly (string | GuardExpression)[] };

/** The loosest first. */
const operators = [['||'], ['&&'], ['==', '!='], ['<=', '>=', '<', '>'], ['+']] as const;

/** Throws on what it does not know. */
export function parseExpression(source: string): GuardExpression {
  const tokens = tokensOf(source);
  const { expression, rest } = parse(tokens, 0);
  if (rest.length > 0) throw new Error(`${source}: what is ${rest[0]}?`);
  return expression;
}

interface Parsed {
  readonly expression: GuardExpression;
  readonly rest: readonly string[];
}

function tokensOf(source: string): readonly string[] {
  const tokens: string[] = [];
  for (let rest = source.trim(); rest !== ''; rest = rest.trimStart()) {
    const [token] =
      /^(_\|_|"(\\\(([^()]|\([^()]*\))*\)|\\.|[^"\\])*"|[A-Za-z_][\w.]*|[0-9]+|\|\||&&|[=!<>]=|[!<>()+])/.exec(
        rest,
      ) ?? [];
    if (token === undefined) throw new Error(`${source}: what is ${rest}?`);
    tokens.push(token);
    rest = rest.slice(token.length);
  }
  return tokens;
}

function parse(tokens: readonly string[], level: number): Parsed {
  const names: readonly string[] | undefined = operators[level];
  if (names === undefined) return parseUnary(tokens);
  let { expression, rest } = parse(tokens, level + 1);
  for (let [name] = rest; name !== undefined && names.includes(name); [name] = rest) {
    const right = parse(rest.slice(1), level + 1);
    expression = { kind: 'call', name, of: [expression, right.expression] };
    rest = right.rest;
  }
  return { expression, rest };
}

function parseUnary([first, ...rest]: readonly string[]): Parsed {
  if (first === undefined) throw new Error('an expression ends early');
  if (first === '!') {
    const of = parseUnary(rest);
    return { expression: { kind: 'call', name: '!', of: [of.expression] }, rest: of.rest };
  }
  if (first === '(') return closed(parse(rest, 0));
  if (first === '_|_') return { expression: { kind: 'bottom' }, rest };
  if (first.startsWith('"')) return { expression: parseText(first), rest };
  if (/^[0-9]/.test(first)) return { expression: { kind: 'literal', value: Number(first) }, rest };
  if (first === 'true' || first === 'false')
    return { expression: { kind: 'literal', value: first === 'true' }, rest };
  if (rest[0] === '(') {
    const of = closed(parse(rest.slice(1), 0));
    return { expression: { kind: 'call', name: first, of: [of.expression] }, rest: of.rest };
  }
  return { expression: { kind: 'field', path: first }, rest };
}

function closed({ expression, rest: [end, ...rest] }: Parsed): Parsed {
  if (end !== ')') throw new Error(`) expected, and not ${end}`);
  return { expression, rest };
}

function parseText(token: string): GuardExpression {
  const inside = token.slice(1, -1);
  const pieces = inside.split(/(\\\((?:[^()]|\([^()]*\))*\))/).filter((piece) => piece !== '');
  const parts = pieces.map((piece) =>
    piece.startsWith('\\(') ? parseExpression(piece.slice(2, -1)) : String(JSON.parse(`"${piece}"`)),
  );
  if (parts.every((part) => typeof part === 'string')) return { kind: 'literal', value: parts.join('') };
  return { kind: 'text', parts };
}
