import { METADATA_HOSTNAME } from '../core/metadata-address.ts';
/** What clients call the metadata server: a Host that is another name is refused. Each cloud adds its own. */
export const HOST_NAMES: readonly string[] = [
  // Google: https://cloud.google.com/compute/docs/metadata/querying-metadata
  METADATA_HOSTNAME,
  'metadata',
  // port-forward, the sandbox, a process on the Node
  'localhost',
];

/** What a request is for, as in its URL. */
interface Target {
  readonly path: string;
  /** Without its question mark; empty if there is none. */
  readonly query: string;
}

/**
 * The path and query of a request's URL, split by hand: Bun gives a bare path to a client of HTTP/1.0 that sends
 * no Host, and `host:port` for CONNECT, on both of which `new URL` throws. The path is empty if there is none.
 */
export function targetOf(url: string): Target {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  if (start === -1) return { path: '', query: '' };
  const mark = url.indexOf('?', start);
  return mark === -1
    ? { path: url.slice(start), query: '' }
    : { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

/** The path, percent-decoded once; undefined if an escape is malformed. */
export function decodePath(path: string): string | undefined {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    // a URIError says nothing more
    return undefined;
  }
}
