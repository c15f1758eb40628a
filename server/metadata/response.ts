import { createHash } from 'node:crypto';
import type { Account, Instance } from './facts.ts';
import { type Directory, entriesOf, type Row, type Value } from './tree.ts';

/** The metadata API's response to one request, without HTTP; the routes turn it into a Response. */
export interface MetadataResponse {
  readonly status: number;
  readonly contentType: ContentType;
  readonly body: string;
  /** Stays the same while the value does: what `last_etag` is compared with. */
  readonly etag?: string;
  /** Headers beyond those that every response has. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Ruby's client accepts an identity token only as `application/text` or `text/html`. */
type ContentType =
  | 'application/text'
  | 'application/json'
  | 'application/json; charset=utf-8'
  | 'text/plain; charset=utf-8';

/**
 * 16 hexadecimal digits as on Compute Engine, and without quotes as there: clients copy the header into
 * `last_etag`. Of a token it is a one-way digest.
 */
export function etagOf(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}

/** The headers of a response: flavor and server are on every one of them, refusals included. */
export function headersOf(response: Omit<MetadataResponse, 'body' | 'status'>): Record<string, string> {
  return {
    'Content-Type': response.contentType,
    'Metadata-Flavor': 'Google',
    Server: 'GKE Metadata Server',
    ...(response.etag === undefined ? {} : { ETag: response.etag }),
    ...response.headers,
  };
}

/** The format that `alt` asks for; undefined: text for a value or a listing, JSON for a recursive one. */
export type Alt = 'json' | 'text' | undefined;

/** What values are computed from; `account` is the caller's, if one was identified. */
interface View {
  readonly instance: Instance;
  readonly account: Account | undefined;
}

type Branch = Map<string, Value | Branch>;

function ok(contentType: MetadataResponse['contentType'], body: string): MetadataResponse {
  return { status: 200, contentType, body, etag: etagOf(body) };
}

function json(value: unknown): MetadataResponse {
  return ok('application/json', JSON.stringify(value));
}

function lines(items: readonly string[]): string {
  return items.map((item) => `${item}\n`).join('');
}

/** A scalar has no trailing newline (gcloud checks that numeric-project-id is all digits); a list has one after each item. */
export function renderValue(value: Value, alt: Alt): MetadataResponse {
  if (alt === 'json') return json(value);
  return ok('application/text', typeof value === 'object' ? lines(value) : String(value));
}

/** The names in a directory, one a line, directories with their slash. */
export function renderListing(directory: Directory, { account }: View, alt: Alt): MetadataResponse {
  const names = entriesOf(directory, account?.name).map(({ name, row }) =>
    row.kind === 'directory' ? `${name}/` : name,
  );
  return alt === 'json' ? json(names) : ok('application/text', lines(names));
}

/**
 * Everything below a directory except tokens: one JSON object, its keys in camel case except attributes and
 * accounts, or, as text, a line `path/below value` for each value.
 */
export function renderRecursively(directory: Directory, view: View, alt: Alt): MetadataResponse {
  if (alt !== 'text') return json(asObject(below(directory, view, camelCase)));
  return ok('application/text', lines(asLines(below(directory, view, (name) => name))));
}

/** The value of a row; undefined for rows without one: directories, tokens, an account without a caller. */
export function resolveValue(row: Row, { instance, account }: View): Value | undefined {
  if (row.kind === 'of-instance') return row.value(instance);
  return row.kind === 'of-account' && account !== undefined ? row.value(account) : undefined;
}

function below(directory: Directory, view: View, spell: (name: string) => string): Branch {
  const branch = new Map<string, Value | Branch>();
  for (const { name, row } of entriesOf(directory, view.account?.name)) {
    const value = row.kind === 'directory' ? below(row, view, spell) : resolveValue(row, view);
    if (value !== undefined) branch.set(directory.verbatim === true ? name : spell(name), value);
  }
  return branch;
}

function asObject(branch: Branch): object {
  const entries = [...branch].map(([name, value]) => [name, value instanceof Map ? asObject(value) : value]);
  return Object.fromEntries(entries);
}

function asLines(branch: Branch): string[] {
  return [...branch].flatMap(([name, value]) => {
    if (value instanceof Map) return asLines(value).map((line) => `${name}/${line}`);
    if (typeof value === 'object') return value.map((item, index) => `${name}/${index} ${item}`);
    return [`${name} ${value}`];
  });
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
