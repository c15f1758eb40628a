import { BlockList, isIPv4, isIPv6 } from 'node:net';

declare const brand: unique symbol;

/**
 * An IP address in its canonical spelling: dotted IPv4 (also if it came as `::ffff:a.b.c.d`), or IPv6 compressed and in
 * lower case (RFC 5952), without a zone.
 */
export type IPAddress = string & { readonly [brand]: 'IPAddress' };

const MAPPED = '::ffff:';

/** The address in its canonical spelling, or undefined if `value` is not an IP address. */
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
 * The address of a connection's peer. A socket spells it canonically, except for the `::ffff:` of IPv4 peers on a
 * dual-stack listener, so the hot path skips the parser.
 */
export function peerAddress(socketAddress: string): IPAddress {
  return (socketAddress.startsWith(MAPPED) ? socketAddress.slice(MAPPED.length) : socketAddress) as IPAddress;
}

/**
 * How sockets spell an address: IPv4 peers of a dual-stack listener read `::ffff:a.b.c.d`. Maps hold every
 * spelling as a key, so that looking a peer up takes no new string.
 */
export function socketSpellings(address: IPAddress): readonly string[] {
  return isIPv4(address) ? [address, `::ffff:${address}`] : [address];
}

type IPFamily = 'ipv4' | 'ipv6';

export function familyOf(address: IPAddress): IPFamily {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** A range of addresses of one family, such as an entry of a Node's `spec.podCIDRs`. */
export class AddressRange {
  readonly #addresses = new BlockList();

  private constructor(
    readonly cidr: string,
    readonly family: IPFamily,
    network: string,
    prefixLength: number,
  ) {
    this.#addresses.addSubnet(network, prefixLength, family);
  }

  /** The range, or undefined if `cidr` is not `ADDRESS/PREFIX-LENGTH`. */
  static parse(cidr: string): AddressRange | undefined {
    const [, network = '', digits = ''] = /^([^/]+)\/([0-9]{1,3})$/.exec(cidr) ?? [];
    const prefixLength = Number(digits);
    if (isIPv4(network) && prefixLength <= 32) return new AddressRange(cidr, 'ipv4', network, prefixLength);
    if (isIPv6(network) && prefixLength <= 128) return new AddressRange(cidr, 'ipv6', network, prefixLength);
    return undefined;
  }

  contains(address: IPAddress): boolean {
    const family = familyOf(address);
    return family === this.family && this.#addresses.check(address, family);
  }
}
