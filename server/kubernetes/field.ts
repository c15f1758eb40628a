import { Fault } from '../core/fault.ts';

/** A value of the API server's JSON with its path, so an error names the field. */
export class Field {
  constructor(
    private readonly value: unknown,
    private readonly path: string,
  ) {}

  /** The field `name` of this object, which may be missing. */
  at(name: string): Field {
    return new Field(isRecord(this.value) ? this.value[name] : undefined, `${this.path}.${name}`);
  }

  /** Throws `kubernetes-unavailable` if this is not a string, or is empty. */
  text(): string {
    if (typeof this.value !== 'string' || this.value === '') throw this.#unexpected('text');
    return this.value;
  }

  /** The text, or `otherwise` if it is missing or empty. */
  textOr(otherwise: string): string {
    return this.value === undefined || this.value === null || this.value === '' ? otherwise : this.text();
  }

  /** The text; undefined if this is anything else. */
  textIfAny(): string | undefined {
    return typeof this.value === 'string' && this.value !== '' ? this.value : undefined;
  }

  isTrue(): boolean {
    return this.value === true;
  }

  isMissing(): boolean {
    return this.value === undefined || this.value === null;
  }

  numberOr(otherwise: number): number {
    return typeof this.value === 'number' ? this.value : otherwise;
  }

  /** The elements; none if the list is missing, since the API server omits empty lists. */
  items(): Field[] {
    if (this.isMissing()) return [];
    if (!Array.isArray(this.value)) throw this.#unexpected('a list');
    return this.value.map((item, position) => new Field(item, `${this.path}[${position}]`));
  }

  /** A map of texts, such as labels; empty if it is missing. */
  texts(): Record<string, string> {
    if (this.isMissing()) return {};
    if (!isRecord(this.value)) throw this.#unexpected('a map');
    // fromEntries defines its keys, so `__proto__` is an ordinary one
    return Object.fromEntries(Object.keys(this.value).map((name) => [name, this.at(name).textOr('')]));
  }

  /** An RFC 3339 time in milliseconds since the epoch. */
  time(): number {
    const time = Date.parse(this.text());
    if (Number.isNaN(time)) throw this.#unexpected('a time');
    return time;
  }

  // the value itself stays out of the message: it may be a token
  #unexpected(expected: string): Fault {
    const found = this.isMissing() ? 'missing' : `not ${expected}`;
    return new Fault(
      'kubernetes-unavailable',
      `cannot read the API server's response: ${this.path} is ${found}`,
      {
        remedy: 'Check that the configured server is a Kubernetes API server.',
      },
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
