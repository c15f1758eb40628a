import { isIPv4, isIPv6 } from 'node:net';

/** So many spellings that were found right are remembered; a client has one or two. */
const MOST_REMEMBERED = 64;
const LONGEST_NAME = 253;

/**
 * Whether a request is meant for this server, by its Host header (null: there is none). A page in a browser can make
 * its own name resolve to this server's address (DNS rebinding) and is then of the same origin; its Host gives it away.
 *
 * Right is one of `names`, in any case, with a port or a trailing dot; any IP address, which no page can make up; and
 * none at all, which no browser sends. Bun joins several Host headers by commas, so those are wrong. Of an
 * absolute-form target Bun drops the authority, which clients and proxies send as Host too (RFC 9112, 3.2.2).
 */
export function hostCheck(names: readonly string[]): (host: string | null) => boolean {
  const known = new Set(names);
  // every request comes through here: one look-up, but for the first of its spelling
  const remembered = new Set<string>();
  return (host) => {
    if (host === null || remembered.has(host)) return true;
    const name = nameOf(host);
    if (!known.has(name) && !isAddress(name)) return false;
    if (remembered.size < MOST_REMEMBERED) remembered.add(host);
    return true;
  };
}

/** Without port and trailing dot, in lower case. */
function nameOf(host: string): string {
  if (host.length > LONGEST_NAME + ':65535'.length) return host;
  return host
    .replace(/:[0-9]{0,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

function isAddress(name: string): boolean {
  return name === '' || isIPv4(name) || (/^\[.*\]$/.test(name) && isIPv6(name.slice(1, -1)));
}
