import { expect, test } from 'bun:test';
import { AddressRange, parseIPAddress } from './ip-address.ts';

test.each([
  ['10.1.0.0/24', '10.1.0.255', true],
  ['10.1.0.0/24', '10.1.1.0', false],
  ['10.1.0.0/24', 'fd00::1', false],
  ['fd00:1::/64', 'fd00:1::ffff', true],
  ['fd00:1::/64', 'fd00:1:0:1::1', false],
  ['::/0', '10.1.0.1', false],
])('%s and %s: %p', (cidr, spelled, isIn) => {
  const address = parseIPAddress(spelled);
  if (address === undefined) throw new Error(spelled);
  expect(AddressRange.parse(cidr)?.contains(address)).toBe(isIn);
});

test.each(['', '10.1.0.0', '10.1.0.0/33', '10.1.0.0/', 'fd00::/129', 'node/24', '10.1.0.0/24/8'])(
  '%j is not a range',
  (cidr) => {
    expect(AddressRange.parse(cidr)).toBeUndefined();
  },
);
