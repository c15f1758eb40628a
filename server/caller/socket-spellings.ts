import { isIPv4 } from 'node:net';
import type { IPAddress } from '../kubernetes/ip-address.ts';

/**
 * How sockets spell an address: IPv4 peers of a dual-stack listener read `::ffff:a.b.c.d`. Maps hold every
 * spelling as a key, so that looking a peer up takes no new string.
 */
export function socketSpellings(address: IPAddress): readonly string[] {
  return isIPv4(address) ? [address, `::ffff:${address}`] : [address];
}
