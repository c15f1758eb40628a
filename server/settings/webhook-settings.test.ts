import { describe, expect, test } from 'bun:test';
import { parseFlags } from '../testing/parse-flags.ts';
import { webhookCommandOf, webhookSettings } from './webhook-settings.ts';

const REQUIRED = ['--namespace=gms', '--init-network-image=ghcr.io/x/gms:1', '--host-ip=10.0.0.5'];

const parse = (...args: string[]) => parseFlags(webhookCommandOf('webhook'), webhookSettings, args);

describe('webhook settings', () => {
  test('have defaults for all but what a release and the downward API say', () => {
    expect(parse(...REQUIRED)).toEqual({
      error: '',
      settings: {
        webhookPort: 8443,
        healthPort: 16_322,
        certificateDirectory: '/etc/gke-metadata-server/tls',
        kubeconfig: undefined,
        serverServiceAccount: { namespace: 'gms', name: 'gke-metadata-server' },
        defaultNodeServiceAccount: undefined,
        requiredAnnotations: new Map([
          ['sts.amazonaws.com', 'eks.amazonaws.com/role-arn'],
          ['api://AzureADTokenExchange', 'azure.workload.identity/client-id'],
        ]),
        injection: {
          mode: 'Redirect',
          initNetworkImage: 'ghcr.io/x/gms:1',
          initNetworkResources: 'auto',
          environmentWait: true,
          searchGoogleInternal: false,
          optIn: 'Labels',
          excludedNamespaces: ['gms', 'kube-system', 'kube-public', 'kube-node-lease'],
          serverPort: 16_321,
          nodesAreIPv6: false,
          nodeSelector: {},
          injectHostNetwork: true,
          googleToAws: undefined,
          ownServiceAccounts: [
            { namespace: 'gms', name: 'gke-metadata-server' },
            { namespace: 'gms', name: 'gke-metadata-server-webhook' },
          ],
          aws: undefined,
          awsPodIdentity: undefined,
          azure: undefined,
          externalAccount: undefined,
        },
        logLevel: 'info',
        logFormat: 'json',
      },
    });
  });

  test('read what a person sets', () => {
    const { settings, error } = parse(
      ...REQUIRED,
      '--host-ip=fd00::5',
      '--injection-mode=Environment',
      '--node-selector=example.com/metadata-server=,pool=a',
      '--init-network-resources={"limits":{"memory":"200Mi"}}',
      '--environment-wait=false',
      '--search-google-internal=true',
      '--opt-in=All',
      '--inject-google-to-aws=true',
      '--excluded-namespaces=cni,storage',
      '--default-node-service-account-name=node',
      '--default-node-service-account-namespace=infra',
    );
    expect(error).toBe('');
    expect(settings?.defaultNodeServiceAccount).toEqual({ namespace: 'infra', name: 'node' });
    expect(settings?.injection).toMatchObject({
      mode: 'Environment',
      googleToAws: { region: undefined, stsRegionalEndpoints: false },
      nodesAreIPv6: true,
      nodeSelector: { 'example.com/metadata-server': '', pool: 'a' },
      initNetworkResources: { requests: {}, limits: { memory: '200Mi' } },
      environmentWait: false,
      searchGoogleInternal: true,
      optIn: 'All',
      excludedNamespaces: ['gms', 'cni', 'storage'],
    });
  });

  test('read what a person sets for AWS', () => {
    const { settings, error } = parse(
      ...REQUIRED,
      '--inject-aws=true',
      '--inject-aws-pod-identity=true',
      '--aws-region=us-gov-west-1',
      '--aws-account-id=111122223333',
      '--aws-partition=aws-us-gov',
      '--aws-sts-regional-endpoints=true',
      '--aws-audience=https://sts.example.com',
      '--aws-token-expiration=10m',
      '--aws-config-map=kube-system/pod-identity-webhook',
      '--aws-pod-identity-audience=pods.example.com',
      '--aws-pod-identity-config-map=kube-system/pod-identities',
    );
    expect(error).toBe('');
    const shared = { region: 'us-gov-west-1', stsRegionalEndpoints: true, tokenExpirationSeconds: 600 };
    expect(settings?.injection).toMatchObject({
      aws: {
        ...shared,
        credentials: 'TokenFile',
        audience: 'https://sts.example.com',
        accountId: '111122223333',
        partition: 'aws-us-gov',
        configMap: 'kube-system/pod-identity-webhook',
      },
      awsPodIdentity: {
        ...shared,
        audience: 'pods.example.com',
        configMap: 'kube-system/pod-identities',
      },
    });
    expect(settings?.requiredAnnotations.get('https://sts.example.com')).toBe('eks.amazonaws.com/role-arn');
  });

  test('read where the credentials of AWS and Azure come from', () => {
    const flags = ['--inject-aws=true', '--aws-credentials=MetadataServer', '--inject-azure=true'];
    expect(parse(...REQUIRED, ...flags).settings?.injection).toMatchObject({
      aws: { credentials: 'MetadataServer' },
      azure: { credentials: 'TokenFile' },
    });
  });

  test('refuse what contradicts: roles that the metadata server cannot read, and one audience for two clouds', () => {
    const roles = ['--aws-credentials=MetadataServer', '--aws-config-map=kube-system/roles'];
    expect(parse(...REQUIRED, ...roles).error).toContain(
      '--aws-config-map needs --aws-credentials=TokenFile',
    );
    const audiences = ['--aws-audience=both', '--azure-audience=both'];
    expect(parse(...REQUIRED, ...audiences).error).toContain('give each cloud its own');
  });

  test('have defaults for AWS as its own webhook has them', () => {
    const { settings } = parse(...REQUIRED, '--inject-aws=true', '--inject-aws-pod-identity=true');
    const shared = { region: undefined, stsRegionalEndpoints: false, tokenExpirationSeconds: 86_400 };
    expect(settings?.injection).toMatchObject({
      aws: {
        ...shared,
        audience: 'sts.amazonaws.com',
        accountId: undefined,
        partition: 'aws',
        configMap: undefined,
      },
      awsPodIdentity: { ...shared, audience: 'pods.eks.amazonaws.com', configMap: undefined },
    });
  });

  test.each([
    ['--webhook-port=16322', 'both 16322'],
    ['--host-ip=node', 'Expected an IP address'],
    ['--injection-mode=Proxy', 'Redirect, Environment'],
    ['--node-selector=pool', 'Expected labels'],
    ['--node-selector=pool=a=b', 'Expected labels'],
    ['--node-selector=-=a', 'Expected labels'],
    ['--init-network-resources=64Mi', 'Expected auto, none, or JSON'],
    ['--init-network-resources={"limits":{"memory":64}}', 'Expected auto, none, or JSON'],
    ['--init-network-resources={"limit":{}}', 'Expected auto, none, or JSON'],
    ['--default-node-service-account-name=node', 'go together'],
    ['--inject-aws=yes', 'Expected true or false'],
    ['--aws-credentials=Metadata', 'TokenFile, MetadataServer'],
    ['--aws-region=Frankfurt', 'Expected a region'],
    ['--aws-account-id=123', 'Expected an AWS account ID'],
    ['--aws-partition=amazon', 'Expected a partition'],
    ['--aws-audience=', 'Expected the audience'],
    ['--aws-token-expiration=9m', 'Expected a duration from 600s'],
    ['--aws-config-map=pod-identity-webhook', 'Expected NAMESPACE/NAME of a ConfigMap'],
    ['--aws-pod-identity-config-map=a/b/c', 'Expected NAMESPACE/NAME of a ConfigMap'],
  ])('refuse %s', (arg, expected) => {
    expect(parse(...REQUIRED, arg).error).toContain(expected);
  });

  test('give every flag but --kubeconfig an environment variable of its name', () => {
    for (const { long, envVar } of webhookCommandOf('webhook').options) {
      if (long === '--kubeconfig') continue;
      expect(envVar).toBe(long?.slice(2).replaceAll('-', '_').toUpperCase() ?? '');
    }
  });
});
