import { describe, expect, test } from 'bun:test';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import { redirectSteps } from './redirect-rules.ts';

// literals in canonical spelling
const IPV4 = '10.0.0.5' as IPAddress;
const IPV6 = 'fd00::5' as IPAddress;

function lines(steps: ReturnType<typeof redirectSteps>): string[] {
  return steps.flatMap(({ unless, run }) => [
    `unless ${unless.join(' ')}`,
    ...run.map((argv) => argv.join(' ')),
  ]);
}

describe('redirect rules', () => {
  test('send the IPv4 metadata address to the Node', () => {
    expect(
      lines(redirectSteps({ family: 'IPv4', from: ['169.254.169.254'], target: IPV4, port: 16_321 }, 'nft')),
    ).toEqual([
      'unless iptables-nft -w 5 -t nat -S GKE-METADATA-SERVER',
      'iptables-nft -w 5 -t nat -N GKE-METADATA-SERVER',
      'unless iptables-nft -w 5 -t nat -C GKE-METADATA-SERVER -d 169.254.169.254/32 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:16321',
      'iptables-nft -w 5 -t nat -F GKE-METADATA-SERVER',
      'iptables-nft -w 5 -t nat -A GKE-METADATA-SERVER -d 169.254.169.254/32 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:16321',
      'unless iptables-nft -w 5 -t nat -S OUTPUT 1',
      'iptables-nft -w 5 -t nat -I OUTPUT 1 -d 169.254.169.254/32 -p tcp --dport 80 -j GKE-METADATA-SERVER',
    ]);
  });

  test('send several addresses there, by one jump that comes first for all of them', () => {
    const from = ['169.254.169.254', '169.254.170.23'];
    const steps = redirectSteps({ family: 'IPv4', from, target: IPV4, port: 16_321 }, 'nft');
    const rule = (address: string) =>
      `GKE-METADATA-SERVER -d ${address}/32 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:16321`;
    expect(lines(steps).slice(2)).toEqual([
      `unless iptables-nft -w 5 -t nat -C ${rule('169.254.170.23')}`,
      'iptables-nft -w 5 -t nat -F GKE-METADATA-SERVER',
      `iptables-nft -w 5 -t nat -A ${rule('169.254.169.254')}`,
      `iptables-nft -w 5 -t nat -A ${rule('169.254.170.23')}`,
      'unless iptables-nft -w 5 -t nat -S OUTPUT 1',
      'iptables-nft -w 5 -t nat -I OUTPUT 1 -d 169.254.0.0/16 -p tcp --dport 80 -j GKE-METADATA-SERVER',
    ]);
  });

  test('write IPv6 with brackets, and the legacy programs where asked', () => {
    const [, rule, jump] = redirectSteps(
      { family: 'IPv6', from: ['fd20:ce::254'], target: IPV6, port: 80 },
      'legacy',
    );
    expect(rule?.run.at(-1)?.join(' ')).toBe(
      'ip6tables-legacy -w 5 -t nat -A GKE-METADATA-SERVER -d fd20:ce::254/128 -p tcp --dport 80 -j DNAT --to-destination [fd00::5]:80',
    );
    expect(jump?.run[0]?.[0]).toBe('ip6tables-legacy');
  });
});
