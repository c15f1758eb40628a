import { describe, expect, test } from 'bun:test';
import { Command } from 'commander';
import { initNetworkOptions, initNetworkSettings } from './init-network-options.ts';

/** Settings of a command line, or the error it prints. */
function parse(...args: string[]) {
  const errors: string[] = [];
  const command = new Command('init-network')
    .exitOverride()
    .configureOutput({ writeErr: (text) => errors.push(text), writeOut: () => {} });
  for (const option of initNetworkOptions()) {
    // a test's environment must not reach the settings
    delete option.envVar;
    command.addOption(option);
  }
  try {
    return { settings: initNetworkSettings(command.parse(args, { from: 'user' })), error: '' };
  } catch (error) {
    return { settings: undefined, error: errors.join('') || String(error) };
  }
}

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
