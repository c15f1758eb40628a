import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { serveCommandOf, serveSettings } from './serve-settings.ts';

const PROVIDER = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/kind';
const REQUIRED = [
  '--node-name=node-1',
  '--project-id=my-project',
  `--workload-identity-provider=${PROVIDER}`,
];

const parse = (...args: string[]) => parseFlags(serveCommandOf('serve'), serveSettings, args);

describe('serve settings', () => {
  test('have the documented defaults', () => {
    const { settings, error } = parse(...REQUIRED);
    expect(error).toBe('');
    expect({ ...settings, workloadIdentityProvider: `${settings?.workloadIdentityProvider}` }).toEqual({
      nodeName: 'node-1',
      projectID: 'my-project',
      workloadIdentityProvider: PROVIDER,
      serverPort: 16321,
      healthPort: 16322,
      kubeconfig: undefined,
      defaultNodeServiceAccount: undefined,
      cacheTokens: true,
      cacheTokensPerPod: false,
      cacheMaxTokenDurationSeconds: 3600,
      podExchangesPerMinute: 60,
      nodeExchangesPerMinute: 600,
      googleStsEndpoint: 'https://sts.googleapis.com',
      googleIamCredentialsEndpoint: 'https://iamcredentials.googleapis.com',
      universeDomain: 'googleapis.com',
      clusterName: 'kind',
      clusterLocation: '',
      logLevel: 'info',
      logFormat: 'json',
    });
  });

  test('take the cluster name from the provider if none is given, or an empty one', () => {
    for (const flags of [[], ['--cluster-name=']]) {
      expect(parse(...REQUIRED, ...flags).settings?.clusterName).toBe('kind');
    }
    expect(parse(...REQUIRED, '--cluster-name=prod').settings?.clusterName).toBe('prod');
  });

  test('follow the universe if no endpoint is set', () => {
    const { settings } = parse(...REQUIRED, '--universe-domain=example.goog');
    expect(settings?.googleStsEndpoint).toBe('https://sts.example.goog');
    expect(settings?.googleIamCredentialsEndpoint).toBe('https://iamcredentials.example.goog');
  });

  test('take endpoints as base URLs without their trailing slash', () => {
    const { settings } = parse(...REQUIRED, '--google-sts-endpoint=http://127.0.0.1:8080/');
    expect(settings?.googleStsEndpoint).toBe('http://127.0.0.1:8080');
  });

  test.each([
    [
      '--workload-identity-provider=pool/kind',
      'projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER',
    ],
    ['--workload-identity-provider=//iam.googleapis.com/x', 'expected projects/NUMBER'],
    ['--server-port=0', '1 to 65535'],
    ['--server-port=1e3', '1 to 65535'],
    ['--server-port=16322', 'both 16322'],
    ['--cache-tokens=yes', 'true or false'],
    ['--cache-max-token-duration=1', 'such as 1h'],
    ['--cache-max-token-duration=5m', 'from 600s to 43200s'],
    ['--cache-max-token-duration=13h', 'from 600s to 43200s'],
    ['--pod-exchanges-per-minute=0', '1 to 1000000'],
    ['--node-exchanges-per-minute=1.5', '1 to 1000000'],
    ['--google-sts-endpoint=ftp://x', 'http or https'],
    ['--google-sts-endpoint=https://user@x', 'http or https'],
    ['--universe-domain=https://x', 'domain such as'],
    ['--aws-fips=true', '--aws-fips needs --aws-region'],
    ['--node-name=A_B', 'name of a Kubernetes object'],
    ['--project-id=two words', 'no spaces'],
    ['--default-node-service-account-name=node', 'go together'],
    ['--log-level=loud', 'debug, info, warn, error'],
    ['--unknown=1', 'unknown option'],
  ])('refuse %s', (flag, expected) => {
    expect(parse(...REQUIRED, flag).error).toContain(expected);
  });

  test('refuse FIPS with an endpoint, which would not be that of FIPS', () => {
    const flags = ['--aws-fips=true', '--aws-region=us-east-1', '--aws-sts-endpoint=https://sts.example.com'];
    expect(parse(...REQUIRED, ...flags).error).toContain('set only one of --aws-fips and --aws-sts-endpoint');
  });

  test.each(['--node-name', '--project-id', '--workload-identity-provider'])('require %s', (flag) => {
    const { error } = parse(...REQUIRED.filter((arg) => !arg.startsWith(flag)));
    expect(error).toContain(`required option '${flag}`);
  });

  test.each([
    ['1h', 3600],
    ['1h30m', 5400],
    ['900s', 900],
  ])('read the duration %s', (value, seconds) => {
    expect(
      parse(...REQUIRED, `--cache-max-token-duration=${value}`).settings?.cacheMaxTokenDurationSeconds,
    ).toBe(seconds);
  });

  test('give every flag but --kubeconfig an environment variable of its name', () => {
    // KUBECONFIG is read after the in-cluster configuration, so it is not the variable of the flag
    const names = serveCommandOf('serve').options.map((option) => [option.long, option.envVar]);
    for (const [long, variable] of names) {
      if (long === '--kubeconfig') continue;
      expect(variable).toBe(long?.slice(2).replaceAll('-', '_').toUpperCase() ?? '');
    }
  });
});
