import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { webhookCommandOf, webhookSettings } from './webhook-settings.ts';

const REQUIRED = ['--namespace=gms', '--init-network-image=ghcr.io/x/gms:1', '--host-ip=10.0.0.5'];
const ENDPOINT = [
  '--azure-custom-token-endpoint-suffix=identity-binding',
  '--azure-custom-token-endpoint-audience=api://AKSIdentityBinding',
  '--azure-custom-token-endpoint-url=https://token.example.com',
];

const parse = (...args: string[]) =>
  parseFlags(webhookCommandOf('webhook'), webhookSettings, [...REQUIRED, '--inject-azure=true', ...args]);
const azure = (...args: string[]) => {
  const { settings, error } = parse(...args);
  expect(error).toBe('');
  return settings?.injection.azure;
};

describe('Azure settings', () => {
  test('have the defaults of azure-workload-identity', () => {
    expect(azure()).toEqual({
      credentials: 'TokenFile',
      tenantID: '',
      authorityHost: 'https://login.microsoftonline.com/',
      audience: 'api://AzureADTokenExchange',
      customTokenEndpoint: undefined,
    });
  });

  test.each([
    ['AzureChinaCloud', 'https://login.chinacloudapi.cn/'],
    ['AzureUSGovernmentCloud', 'https://login.microsoftonline.us/'],
  ])('%s has Entra at %s', (cloud, authorityHost) => {
    expect(azure(`--azure-cloud=${cloud}`)).toMatchObject({ authorityHost });
  });

  test.each<[string[], unknown]>([
    [[], undefined],
    [['--azure-custom-token-endpoint-ca-config-map=ca'], { configMap: 'ca' }],
    [['--azure-custom-token-endpoint-ca-data=PEM'], { data: 'PEM' }],
    [
      ['--azure-custom-token-endpoint-cluster-trust-bundle=example.com/ca'],
      { signerName: 'example.com/ca', labels: {} },
    ],
    [
      [
        '--azure-custom-token-endpoint-cluster-trust-bundle=example.com/ca',
        '--azure-custom-token-endpoint-cluster-trust-bundle-labels=app=a',
      ],
      { signerName: 'example.com/ca', labels: { app: 'a' } },
    ],
  ])('a custom token endpoint with %j', (flags, ca) => {
    expect(azure(...ENDPOINT, ...flags)?.customTokenEndpoint).toEqual({
      suffix: 'identity-binding',
      audience: 'api://AKSIdentityBinding',
      url: 'https://token.example.com',
      sniName: '',
      // of the test's own table
      ca: ca as undefined,
    });
  });

  test.each([
    [['--azure-tenant-id=https://login.microsoftonline.com/x'], 'Expected the GUID or a domain of a tenant'],
    [['--azure-cloud=AzureGermanCloud'], 'AzurePublicCloud, AzureChinaCloud, AzureUSGovernmentCloud'],
    [ENDPOINT.slice(1), 'a custom token endpoint needs --azure-custom-token-endpoint-suffix'],
    [ENDPOINT.slice(0, 2), 'a custom token endpoint needs --azure-custom-token-endpoint-suffix'],
    [['--azure-custom-token-endpoint-sni-name=a'], 'a custom token endpoint needs'],
    [[...ENDPOINT, '--azure-custom-token-endpoint-audience=API://AzureADTokenExchange'], 'set another'],
    [[...ENDPOINT, '--azure-audience=api://AKSIdentityBinding'], 'set another'],
    [[...ENDPOINT, '--azure-custom-token-endpoint-url=http://token.example.com'], 'Expected an https URL'],
    [[...ENDPOINT, '--azure-custom-token-endpoint-suffix=-a-'], 'Expected the end of a name'],
    [
      [
        ...ENDPOINT,
        '--azure-custom-token-endpoint-ca-data=PEM',
        '--azure-custom-token-endpoint-ca-config-map=ca',
      ],
      'set only one of',
    ],
    [
      [...ENDPOINT, '--azure-custom-token-endpoint-cluster-trust-bundle-labels=app=a'],
      'labels needs --azure-custom-token-endpoint-cluster-trust-bundle',
    ],
  ])('refuse %j', (flags, expected) => {
    expect(parse(...flags).error).toContain(expected);
  });
});
