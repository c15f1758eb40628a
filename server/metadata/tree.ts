import type { Caller } from '../caller/caller.ts';
import { DEFAULT_SCOPES } from '../google/tokens.ts';
import { type Account, clusterLocation, clusterUID, type Instance, instanceID, zone } from './facts.ts';

/** Text, a number, or a list: in text one item on each line, in JSON an array. */
export type Value = string | number | readonly string[];

/** One path with all its facts; a path that ends in a slash is a directory. */
export type Row = { readonly path: string; readonly unlisted?: true } & (
  | {
      readonly kind: 'directory' /** Keys in JSON are verbatim, not in camel case. */;
      readonly verbatim?: true;
    }
  | { readonly kind: 'of-instance'; value(instance: Instance): Value }
  | { readonly kind: 'of-account'; value(account: Account): Value }
  | { readonly kind: 'of-caller'; value(caller: Caller): Value }
  | { readonly kind: 'access-token' | 'identity-token' }
);
export type Directory = Extract<Row, { kind: 'directory' }>;

export const V1 = '/computeMetadata/v1/';
const INSTANCE = `${V1}instance/`;
const ATTRIBUTES = `${INSTANCE}attributes/`;
const ACCOUNTS = `${INSTANCE}service-accounts/`;
/** Matches `default` and the name of the caller's account; other accounts have no paths. */
export const ANY_ACCOUNT = ':account';
const ACCOUNT = `${ACCOUNTS}${ANY_ACCOUNT}/`;
const PRINCIPAL = 'principal://';

/** The UID of the Pod that the server identified as the caller; GKE has no such path. */
const POD_UID_PATH = `${INSTANCE}pod-uid`;

/** All paths of the metadata API, in the order of listings. */
export const TREE: readonly Row[] = [
  { path: '/', kind: 'directory' },
  { path: '/computeMetadata/', kind: 'directory' },
  { path: V1, kind: 'directory' },
  { path: INSTANCE, kind: 'directory' },
  { path: ATTRIBUTES, kind: 'directory', verbatim: true },
  { path: `${ATTRIBUTES}cluster-location`, kind: 'of-instance', value: clusterLocation },
  { path: `${ATTRIBUTES}cluster-name`, kind: 'of-instance', value: ({ settings }) => settings.clusterName },
  { path: `${ATTRIBUTES}cluster-uid`, kind: 'of-instance', value: clusterUID },
  { path: `${INSTANCE}hostname`, kind: 'of-instance', value: ({ settings }) => settings.nodeName },
  { path: `${INSTANCE}id`, kind: 'of-instance', value: instanceID },
  {
    path: `${INSTANCE}name`,
    kind: 'of-instance',
    value: ({ settings }) => settings.nodeName,
    unlisted: true,
  },
  { path: POD_UID_PATH, kind: 'of-caller', value: ({ boundTo }) => boundTo.uid, unlisted: true },
  { path: ACCOUNTS, kind: 'directory', verbatim: true },
  { path: ACCOUNT, kind: 'directory' },
  { path: `${ACCOUNT}aliases`, kind: 'of-account', value: () => ['default'] },
  { path: `${ACCOUNT}email`, kind: 'of-account', value: ({ email }) => email },
  { path: `${ACCOUNT}identity`, kind: 'identity-token' },
  { path: `${ACCOUNT}scopes`, kind: 'of-account', value: () => DEFAULT_SCOPES.split(' ') },
  { path: `${ACCOUNT}token`, kind: 'access-token' },
  { path: `${INSTANCE}zone`, kind: 'of-instance', value: zone },
  { path: `${V1}project/`, kind: 'directory' },
  {
    path: `${V1}project/numeric-project-id`,
    kind: 'of-instance',
    value: ({ settings }) => Number(settings.workloadIdentityProvider.projectNumber),
  },
  { path: `${V1}project/project-id`, kind: 'of-instance', value: ({ settings }) => settings.projectID },
  { path: `${V1}universe/`, kind: 'directory', unlisted: true },
  {
    path: `${V1}universe/universe-domain`,
    kind: 'of-instance',
    value: ({ settings }) => settings.universeDomain,
  },
  // Go's oauth2 spells it this way
  {
    path: `${V1}universe/universe_domain`,
    kind: 'of-instance',
    value: ({ settings }) => settings.universeDomain,
    unlisted: true,
  },
];

const ROWS: ReadonlyMap<string, Row> = new Map(TREE.map((row) => [row.path, row]));

const CHILDREN: ReadonlyMap<Row, readonly Row[]> = new Map(
  TREE.map((row) => [
    row,
    TREE.filter(({ path, unlisted }) => unlisted !== true && parentOf(path) === row.path),
  ]),
);

/** The directory that a path is in; `/` is in none. */
function parentOf(path: string): string | undefined {
  return path === '/' ? undefined : path.slice(0, path.lastIndexOf('/', path.length - 2) + 1);
}

/** The row of a path, and the account named in it. */
export interface Found {
  readonly row: Row;
  readonly account?: string;
}

/** The row at `path` (decoded, no query); undefined if there is none. */
export function find(path: string): Found | undefined {
  if (!path.startsWith(ACCOUNTS) || path.length === ACCOUNTS.length) {
    const row = ROWS.get(path);
    return row && { row };
  }
  // a principal, which may be an account's email, contains slashes: the row follows the last one
  const end = path.startsWith(PRINCIPAL, ACCOUNTS.length)
    ? path.lastIndexOf('/')
    : path.indexOf('/', ACCOUNTS.length);
  if (end === -1) return undefined;
  const row = ROWS.get(ACCOUNTS + ANY_ACCOUNT + path.slice(end));
  return row && { row, account: path.slice(ACCOUNTS.length, end) };
}

/** Whether a response about this row, or about the rows below it, depends on the caller. */
export function isOfCaller(row: Row, recursive: boolean): boolean {
  return (
    row.kind === 'of-caller' || row.path.startsWith(ACCOUNTS) || (recursive && ACCOUNTS.startsWith(row.path))
  );
}

/** The entries of a directory: names (without the slash of a directory) and rows; `account` is the caller's own. */
export function entriesOf(
  directory: Directory,
  account: string | undefined,
): readonly { readonly name: string; readonly row: Row }[] {
  const rows = CHILDREN.get(directory) ?? [];
  return rows.flatMap((row) => {
    const name = row.path.slice(directory.path.length).replace('/', '');
    if (name !== ANY_ACCOUNT) return [{ name, row }];
    return account === undefined ? [] : ['default', account].map((each) => ({ name: each, row }));
  });
}
