import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { IPAddress } from './ip-address.ts';

export type IPFamily = 'ipv4' | 'ipv6';

export function familyOf(address: IPAddress): IPFamily {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** A range of addresses of one family, as a Node's `spec.podCIDRs` writes it. */
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
