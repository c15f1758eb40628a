import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { initNetworkCommandOf, initNetworkSettings } from './init-network-settings.ts';

const parse = (...args: string[]) =>
  parseFlags(initNetworkCommandOf('init-network'), initNetworkSettings, args);

describe('init-network settings', () => {
  test('read what the downward API writes, and have defaults for the rest', () => {
    expect<unknown>(
      parse('--host-ips=10.0.0.5,FD00::5', '--pod-ips=10.1.0.7', '--pod-uid=1d2e').settings,
    ).toEqual({
      hostAddresses: ['10.0.0.5', 'fd00::5'],
      podAddresses: ['10.1.0.7'],
      podUID: '1d2e',
      serverPort: 16_321,
      redirects: true,
      containerCredentials: false,
      timeoutSeconds: 180,
      logLevel: 'info',
      logFormat: 'json',
    });
  });

  test.each([
    [['--pod-ips=10.1.0.7', '--pod-uid=1d2e'], '--host-ips'],
    [['--host-ips=10.0.0.5', '--pod-ips=10.1.0.7'], '--pod-uid'],
    [['--host-ips=', '--pod-ips=10.1.0.7'], 'Expected an IP address'],
    [['--host-ips=10.0.0.5,node', '--pod-ips=10.1.0.7'], 'Expected an IP address'],
    [['--host-ips=10.0.0.5', '--pod-ips=10.1.0.7', '--timeout=0s'], 'Expected a duration from 1s'],
  ])('refuse %j', (args, expected) => {
    expect(parse(...args).error).toContain(expected);
  });
});
