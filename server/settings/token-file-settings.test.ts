import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { tokenFileCommandOf, tokenFileSettings } from './token-file-settings.ts';

const parse = (...args: string[]) => parseFlags(tokenFileCommandOf('token-file'), tokenFileSettings, args);
const REQUIRED = ['--token-file=/run/token', '--host-ip=FD00::5', '--pod-uid=1d2e'];

describe('token-file settings', () => {
  test('read what the downward API writes, and have defaults for the rest', () => {
    expect<unknown>(parse(...REQUIRED).settings).toEqual({
      file: '/run/token',
      audience: 'token-injector/sts/assume-role-with-web-identity',
      once: false,
      hostAddress: 'fd00::5',
      podUID: '1d2e',
      serverPort: 16_321,
      logLevel: 'info',
      logFormat: 'json',
    });
  });

  test.each([
    ['--once', true],
    ['--once=true', true],
    ['--once=false', false],
  ])('%s', (flag, once) => {
    expect(parse(...REQUIRED, flag).settings?.once).toBe(once);
  });

  test.each([
    [['--host-ip=10.0.0.5', '--pod-uid=1d2e'], '--token-file'],
    [['--token-file=/run/token', '--pod-uid=1d2e'], '--host-ip'],
    [[...REQUIRED, '--token-file=token'], 'Expected an absolute path'],
    [[...REQUIRED, '--token-file=/run/'], 'Expected an absolute path'],
    [[...REQUIRED, '--host-ip=10.0.0.5,fd00::5'], 'Expected an IP address'],
    [[...REQUIRED, '--audience='], 'Expected an audience'],
    [[...REQUIRED, '--once=no'], 'Expected true or false'],
  ])('refuse %j', (args, expected) => {
    expect(parse(...args).error).toContain(expected);
  });
});
