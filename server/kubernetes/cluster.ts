import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import { delimiter, dirname, join, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import type { Cluster as ConfiguredCluster, User } from '@kubernetes/client-node/dist/config_types.js';
import { decodeJwt, type JWTPayload } from 'jose';
import { Fault } from '../core/fault.ts';

// Not the package's root: that loads every generated model and client, about 3 MB that stay resident.

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What one request needs besides its own path and body. */
interface Authentication {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: BunFetchRequestInitTLS;
  readonly proxy?: string;
}

/** An API server and the credentials for it. */
export interface Cluster {
  /** Base URL, without a trailing slash. */
  readonly server: string;
  /** Called for each request, so rotated token files and credentials of exec plugins stay fresh. */
  authenticate(): Promise<Authentication>;
}

export interface ConfigurationSources {
  /** The file of `--kubeconfig`. */
  readonly kubeconfig: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The mount path of the Pod's ServiceAccount volume. By default that of the kubelet. */
  readonly serviceAccountDirectory?: string;
}

/**
 * The cluster to talk to: the kubeconfig given, else the one this Pod runs in, else `KUBECONFIG`, else
 * `~/.kube/config`. Throws `setting-invalid` if none of them can be loaded.
 */
export function loadCluster(sources: ConfigurationSources): Cluster {
  const { kubeconfig, environment, serviceAccountDirectory = SERVICE_ACCOUNT_DIRECTORY } = sources;
  const {
    KUBERNETES_SERVICE_HOST,
    KUBERNETES_SERVICE_PORT = '443',
    KUBECONFIG = '',
    HOME = '/',
  } = environment;
  if (kubeconfig !== undefined) return clusterOf(kubeConfigOf([kubeconfig]), kubeconfig);
  if (KUBERNETES_SERVICE_HOST && existsSync(join(serviceAccountDirectory, 'token'))) {
    const host = isIPv6(KUBERNETES_SERVICE_HOST) ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST;
    const server = `https://${host}:${KUBERNETES_SERVICE_PORT}`;
    return clusterOf(inClusterConfig(server, serviceAccountDirectory), 'the environment of this Pod');
  }
  const listed = KUBECONFIG.split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) return clusterOf(kubeConfigOf(listed), `KUBECONFIG (${KUBECONFIG})`);
  const own = join(HOME, '.kube', 'config');
  if (existsSync(own)) return clusterOf(kubeConfigOf([own]), own);
  throw new Fault(
    'setting-invalid',
    `cannot find a Kubernetes cluster: not in a Pod, no KUBECONFIG, and no ${own}`,
    {
      remedy: 'Set --kubeconfig, or run in a Pod that mounts its ServiceAccount token.',
    },
  );
}

function inClusterConfig(server: string, directory: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'in-cluster', server, caFile: join(directory, 'ca.crt'), skipTLSVerify: false },
    { name: 'in-cluster', authProvider: tokenFileProvider(join(directory, 'token')) },
  );
  return config;
}

/** The library's provider that reads a token file again each minute. */
function tokenFileProvider(tokenFile: string): object {
  return { name: 'tokenFile', config: { tokenFile } };
}

/** Merges several files as kubectl does: the first that sets a value wins. */
function kubeConfigOf(files: readonly string[]): KubeConfig {
  const merged = new KubeConfig();
  for (const file of files) {
    const config = readKubeConfig(file);
    merged.currentContext ||= config.currentContext;
    addMissing(merged.clusters, config.clusters);
    addMissing(merged.users, config.users);
    addMissing(merged.contexts, config.contexts);
  }
  return merged;
}

function addMissing<T extends { readonly name: string }>(to: T[], from: readonly T[]): void {
  to.push(...from.filter((added) => !to.some((present) => present.name === added.name)));
}

function readKubeConfig(file: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
    config.users = withTokenFiles(config.users, file);
    return config;
  } catch (error) {
    // the parser's message goes on with the lines around the error, which may be keys: keep its first line, and no cause
    const [reason] = String(error instanceof Error ? error.message : error).split('\n', 1);
    throw new Fault('setting-invalid', `cannot load the kubeconfig ${file}: ${reason}`, {
      remedy: 'Check it with: kubectl --kubeconfig FILE config view',
    });
  }
}

/** `users[].user.tokenFile`, which the library ignores. */
function withTokenFiles(users: readonly User[], file: string): User[] {
  const text = readFileSync(file, 'utf8');
  if (!text.includes('tokenFile')) return [...users];
  // loadFromFile has just parsed the same text, so it has this shape
  const { users: entries } = Bun.YAML.parse(text) as { users: { user?: { tokenFile?: string } }[] };
  return users.map((user, position) => {
    const tokenFile = entries[position]?.user?.tokenFile;
    if (tokenFile === undefined) return user;
    const { token: _, ...others } = user;
    return { ...others, authProvider: tokenFileProvider(resolve(dirname(file), tokenFile)) };
  });
}

function clusterOf(config: KubeConfig, source: string): Cluster {
  const configured = config.getCurrentCluster();
  if (configured === null || URL.parse(configured.server) === null) {
    throw new Fault('setting-invalid', `cannot use ${source}: it has no current context with a cluster`, {
      remedy: 'Choose one with: kubectl config use-context NAME',
    });
  }
  const { proxyUrl } = configured;
  const authenticator = withUser(configured, config.getCurrentUser());
  return {
    server: configured.server.replace(/\/+$/, ''),
    async authenticate() {
      const options: RequestOptions = {};
      await authenticator.applyToHTTPSOptions(options);
      return { headers: headersOf(options), tls: tlsOf(options), ...(proxyUrl ? { proxy: proxyUrl } : {}) };
    },
  };
}

/**
 * The library refuses plain http without `insecure-skip-tls-verify`, which has no meaning there, and drops the
 * cluster's CA if the context has no user.
 */
function withUser(cluster: ConfiguredCluster, user: User | null): KubeConfig {
  const config = new KubeConfig();
  const skipTLSVerify = cluster.skipTLSVerify || cluster.server.startsWith('http:');
  config.loadFromClusterAndUser({ ...cluster, skipTLSVerify }, user ?? { name: 'anonymous' });
  return config;
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const basic = auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  const others = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value).trim()]);
  return { ...Object.fromEntries(others), ...basic };
}

function tlsOf(options: RequestOptions): BunFetchRequestInitTLS {
  const { ca, cert, key, servername, rejectUnauthorized } = options;
  return {
    // Node's and Bun's types of a PEM differ in name only: the library returns a Buffer or a string
    ...(ca === undefined ? {} : { ca: ca as Buffer | string }),
    ...(cert === undefined ? {} : { cert: cert as Buffer | string }),
    ...(key === undefined ? {} : { key: key as Buffer | string }),
    ...(servername === undefined ? {} : { serverName: servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  };
}

const SERVICE_ACCOUNT = 'system:serviceaccount:';

/**
 * Identifies an instance of this project: `NAMESPACE:NAME` of the ServiceAccount in the credentials, and a digest of the
 * API server's address. All Pods of an instance have the same name, though each has its own token.
 */
export async function instanceName(cluster: Cluster): Promise<string> {
  const server = createHash('sha256').update(cluster.server).digest('hex').slice(0, 12);
  return `${await serviceAccountOf(cluster)}@${server}`;
}

async function serviceAccountOf(cluster: Cluster): Promise<string> {
  const { sub } = (await claimsOf(cluster)) ?? {};
  return sub?.startsWith(SERVICE_ACCOUNT) === true ? sub.slice(SERVICE_ACCOUNT.length) : 'user';
}

/**
 * 32 bytes that all servers of this instance on this Node have in common, and no other Pod knows: derived from the UIDs of
 * the server's ServiceAccount and of its Node, of which the first is random, and readable only by those who may read
 * ServiceAccounts of the server's Namespace. Random bytes without a ServiceAccount.
 */
export async function nodeSecret(cluster: Cluster, purpose: string): Promise<Uint8Array> {
  const kubernetes = member(await claimsOf(cluster), 'kubernetes.io');
  const uids = ['serviceaccount', 'node'].map((kind) => member(member(kubernetes, kind), 'uid'));
  const [serviceAccountUID] = uids;
  if (typeof serviceAccountUID !== 'string' || serviceAccountUID === '') return randomBytes(32);
  return new Uint8Array(hkdfSync('sha256', uids.join(' '), '', purpose, 32));
}

/** What the credentials say of themselves; undefined if they are not a token, such as a person's kubeconfig. */
async function claimsOf(cluster: Cluster): Promise<JWTPayload | undefined> {
  try {
    const { headers } = await cluster.authenticate();
    const authorization = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
    return decodeJwt(authorization?.[1].replace(/^Bearer /, '') ?? '');
  } catch {
    return undefined;
  }
}

function member(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined;
}
