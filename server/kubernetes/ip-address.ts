import { isIPv4, isIPv6 } from 'node:net';

declare const brand: unique symbol;

/**
 * An IP address in the one spelling this program compares: dotted IPv4 (also where it
 * came as `::ffff:a.b.c.d`), or IPv6 compressed and in lower case (RFC 5952), no zone.
 */
export type IPAddress = string & { readonly [brand]: 'IPAddress' };

const MAPPED = '::ffff:';

/** The address in its one spelling, or undefined where `value` is none. */
export function parseIPAddress(value: string): IPAddress | undefined {
  // the checks are the proof of the brand
  if (isIPv4(value)) return value as IPAddress;
  const unzoned = value.split('%', 1)[0] ?? '';
  if (!isIPv6(unzoned)) return undefined;
  const canonical = new URL(`http://[${unzoned}]`).hostname.slice(1, -1);
  if (!canonical.startsWith(MAPPED)) return canonical as IPAddress;
  const [high = 0, low = 0] = canonical
    .slice(MAPPED.length)
    .split(':')
    .map((part) => Number.parseInt(part, 16));
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}` as IPAddress;
}

/**
 * The address of a connection's peer as the socket spells it, which is canonical already
 * but for the `::ffff:` of IPv4 peers on a dual-stack listener: the hot path's short cut.
 */
export function peerAddress(socketAddress: string): IPAddress {
  return (socketAddress.startsWith(MAPPED) ? socketAddress.slice(MAPPED.length) : socketAddress) as IPAddress;
}
