import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeConfig as DeepKubeConfig } from '@kubernetes/client-node/dist/config.js';
import { version } from '@kubernetes/client-node/package.json';
import { UnsecuredJWT } from 'jose';
import { Fault } from '../core/fault.ts';
import { type ConfigurationSources, instanceName, loadCluster } from './cluster.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(name: string, content: string | object): string {
  const file = join(directory, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content)); // JSON is YAML
  return file;
}

function kubeconfig(server: string, user: object = {}, cluster: object = {}): object {
  return {
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
}

function sources(overrides: Partial<ConfigurationSources> = {}): ConfigurationSources {
  return {
    kubeconfig: undefined,
    environment: { HOME: directory },
    serviceAccountDirectory: join(directory, 'serviceaccount'),
    ...overrides,
  };
}

function faultOf(given: ConfigurationSources): Fault {
  try {
    loadCluster(given);
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error('no Fault was thrown');
}

describe('the cluster', () => {
  test('--kubeconfig, then in-cluster, then KUBECONFIG, then ~/.kube/config', () => {
    mkdirSync(join(directory, '.kube'));
    mkdirSync(join(directory, 'serviceaccount'));
    write('.kube/config', kubeconfig('https://home'));
    const KUBECONFIG = write('environment', kubeconfig('https://environment/'));
    const explicit = write('explicit', kubeconfig('http://explicit:8080'));
    const outside = { HOME: directory, KUBECONFIG };
    const inside = { ...outside, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    const serverOf = (given: Partial<ConfigurationSources>) => loadCluster(sources(given)).server;

    expect(serverOf({})).toBe('https://home');
    expect(serverOf({ environment: outside })).toBe('https://environment');
    expect(serverOf({ environment: inside })).toBe('https://environment'); // no token is mounted
    write('serviceaccount/token', 'in-cluster-token');
    expect(serverOf({ environment: inside })).toBe('https://[fd00::1]:6443');
    expect(serverOf({ environment: inside, kubeconfig: explicit })).toBe('http://explicit:8080');
  });

  test('in-cluster: the CA and the token of the mounted files', async () => {
    mkdirSync(join(directory, 'serviceaccount'));
    write('serviceaccount/token', 'in-cluster-token\n');
    write('serviceaccount/ca.crt', 'the CA');
    const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
    const { headers, tls } = await loadCluster(sources({ environment })).authenticate();
    expect(headers).toEqual({ Authorization: 'Bearer in-cluster-token' });
    expect(String(tls.ca)).toBe('the CA');
  });

  test('KUBECONFIG may list files: the first that says something wins', async () => {
    const first = write('first', { users: [{ name: 'u', user: { token: 'first' } }] });
    const second = write('second', kubeconfig('https://second', { token: 'second' }));
    const third = write('third', { ...kubeconfig('https://third'), 'current-context': 'z' });
    const KUBECONFIG = ['', first, second, third].join(':');
    const cluster = loadCluster(sources({ environment: { KUBECONFIG } }));
    expect(cluster.server).toBe('https://second');
    expect((await cluster.authenticate()).headers).toEqual({ Authorization: 'Bearer first' });
  });
});

describe('authentication', () => {
  async function authenticate(user: object, cluster: object = {}) {
    const file = write('config', kubeconfig('https://server', user, cluster));
    return loadCluster(sources({ kubeconfig: file })).authenticate();
  }

  test('client certificate, CA, server name and proxy', async () => {
    write('ca.crt', 'the CA');
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const { headers, tls, proxy } = await authenticate(
      { 'client-certificate-data': base64('cert'), 'client-key-data': base64('key') },
      { 'certificate-authority': 'ca.crt', 'tls-server-name': 'kubernetes', 'proxy-url': 'http://proxy:1' },
    );
    expect(headers).toEqual({});
    expect([tls.ca, tls.cert, tls.key].map(String)).toEqual(['the CA', 'cert', 'key']);
    expect([tls.serverName, tls.rejectUnauthorized, proxy]).toEqual([
      'kubernetes',
      undefined,
      'http://proxy:1',
    ]);
  });

  test('user name, impersonation, no verification', async () => {
    const { headers, tls } = await authenticate(
      { username: 'me', password: 'pw', as: 'you' },
      { 'insecure-skip-tls-verify': true },
    );
    expect(headers).toEqual({ Authorization: `Basic ${btoa('me:pw')}`, 'Impersonate-User': 'you' });
    expect(tls.rejectUnauthorized).toBe(false);
  });

  test('a token file, beside the kubeconfig', async () => {
    write('token', 'from-a-file\n');
    const { headers } = await authenticate({ tokenFile: 'token', token: 'stale' });
    expect(headers).toEqual({ Authorization: 'Bearer from-a-file' });
  });

  test('an exec plugin, run again when its credential has expired', async () => {
    const plugin = write(
      'plugin',
      `#!/bin/sh
echo x >> '${join(directory, 'runs')}'
echo '{"status":{"token":"run-'$(wc -l < '${join(directory, 'runs')}' | tr -d ' ')'","expirationTimestamp":"'$EXPIRES'"}}'`,
    );
    chmodSync(plugin, 0o755);
    const tokens = async (expires: string) => {
      const env = [{ name: 'EXPIRES', value: expires }];
      const file = write('config', kubeconfig('https://server', { exec: { command: plugin, env } }));
      const cluster = loadCluster(sources({ kubeconfig: file }));
      const first = await cluster.authenticate();
      return [first, await cluster.authenticate()].map(({ headers: { Authorization } }) => Authorization);
    };
    expect(await tokens('2000-01-01T00:00:00Z')).toEqual(['Bearer run-1', 'Bearer run-2']);
    expect(await tokens('2999-01-01T00:00:00Z')).toEqual(['Bearer run-3', 'Bearer run-3']);
  });

  test('a plain http server, and a context without a user, which keeps its CA', async () => {
    const plain = write('plain', kubeconfig('http://127.0.0.1:8080'));
    expect((await loadCluster(sources({ kubeconfig: plain })).authenticate()).headers).toEqual({});
    write('ca.crt', 'the CA');
    const anonymous = write('anonymous', {
      ...kubeconfig('https://server', {}, { 'certificate-authority': 'ca.crt' }),
      contexts: [{ name: 'x', context: { cluster: 'c' } }],
    });
    expect(String((await loadCluster(sources({ kubeconfig: anonymous })).authenticate()).tls.ca)).toBe(
      'the CA',
    );
  });
});

describe('setting-invalid', () => {
  test('no cluster is configured', () => {
    const fault = faultOf(sources());
    expect(fault.code).toBe('setting-invalid');
    expect(fault.remedy).toContain('--kubeconfig');
  });

  test.each<[string, string | object]>([
    ['no YAML', 'a: [secret-key'],
    ['nothing', ''],
    ['a list', '[]'],
    ['no current context', { ...kubeconfig('https://server'), 'current-context': 'missing' }],
    ['a server that is no URL', kubeconfig('server')],
    ['a cluster without a server', { ...kubeconfig('https://x'), clusters: [{ name: 'c', cluster: {} }] }],
  ])('%s, without a word of what the file holds', (_, content) => {
    const fault = faultOf(sources({ kubeconfig: write('broken', content) }));
    expect(fault.code).toBe('setting-invalid');
    expect(fault.message).toContain(join(directory, 'broken'));
    expect(Bun.inspect(fault)).not.toContain('secret-key');
  });

  test('a file that does not exist', () => {
    expect(faultOf(sources({ kubeconfig: join(directory, 'absent') })).message).toContain('ENOENT');
  });
});

const tokenOf = (sub: string, pod: string) =>
  `Bearer ${new UnsecuredJWT({ 'kubernetes.io': { pod: { name: pod } } }).setSubject(sub).encode()}`;
const nameOf = (authorization: string | undefined, server = 'https://10.96.0.1') =>
  instanceName({
    server,
    authenticate: async () => ({ headers: authorization === undefined ? {} : { authorization }, tls: {} }),
  });

test('Pods of one ServiceAccount are one instance, and no others', async () => {
  const own = await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-1'));
  expect(own).toMatch(/^ns:name@[0-9a-f]{12}$/);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-2'))).toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:other:name', 'pod-1'))).not.toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:other', 'pod-1'))).not.toBe(own);
  expect(await nameOf(tokenOf('system:serviceaccount:ns:name', 'pod-1'), 'https://10.0.0.1')).not.toBe(own);
});

test('credentials that are not a ServiceAccount are a user of that cluster', async () => {
  for (const authorization of [undefined, 'Bearer opaque', 'Basic eA==', tokenOf('me', 'p')]) {
    expect(await nameOf(authorization)).toMatch(/^user@[0-9a-f]{12}$/);
  }
  const failing = { server: 'https://a', authenticate: () => Promise.reject(new Error('no file')) };
  expect(await instanceName(failing)).toStartWith('user@');
});

test('the deep import of @kubernetes/client-node is the class of its root, in the version it was checked with', () => {
  // 2.0 loses TLS under Bun: CONTRIBUTING.md says what to check before another version
  expect(version).toBe('1.4.0');
  expect(DeepKubeConfig).toBe(KubeConfig);
});
