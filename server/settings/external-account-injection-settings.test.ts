import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { webhookCommandOf, webhookSettings } from './webhook-settings.ts';

const REQUIRED = ['--namespace=gms', '--init-network-image=ghcr.io/x/gms:1', '--host-ip=10.0.0.5'];
const PROVIDER =
  'projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/this-cluster';

const parse = (...args: string[]) =>
  parseFlags(webhookCommandOf('webhook'), webhookSettings, [
    ...REQUIRED,
    '--inject-external-account=true',
    ...args,
  ]);

describe('external account settings', () => {
  test('have defaults', () => {
    expect(parse().settings?.injection.externalAccount).toEqual({
      provider: undefined,
      audience: '',
      tokenExpirationSeconds: 86_400,
      stsEndpoint: 'https://sts.googleapis.com',
      iamCredentialsEndpoint: 'https://iamcredentials.googleapis.com',
      universeDomain: 'googleapis.com',
    });
  });

  test('read what a person sets', () => {
    const { settings, error } = parse(
      `--external-account-provider=${PROVIDER}`,
      '--external-account-audience=sts.googleapis.com',
      '--external-account-token-expiration=1h',
      '--google-sts-endpoint=https://sts.example.com',
      '--universe-domain=example.com',
    );
    expect(error).toBe('');
    expect(settings?.injection.externalAccount).toMatchObject({
      provider: { name: PROVIDER, audience: `//iam.googleapis.com/${PROVIDER}` },
      audience: 'sts.googleapis.com',
      tokenExpirationSeconds: 3600,
      stsEndpoint: 'https://sts.example.com',
      iamCredentialsEndpoint: 'https://iamcredentials.example.com',
      universeDomain: 'example.com',
    });
  });

  test('an empty provider counts as none', () => {
    expect(
      parse('--external-account-provider=').settings?.injection.externalAccount?.provider,
    ).toBeUndefined();
  });

  test.each([
    ['--external-account-provider=projects/my-project/providers/a', 'is not a workload identity provider'],
    ['--external-account-audience=a b', 'Expected an audience'],
    ['--external-account-token-expiration=25h', 'Expected a duration from 3600s to 86400s'],
  ])('refuse %s', (flag, expected) => {
    expect(parse(flag).error).toContain(expected);
  });
});
