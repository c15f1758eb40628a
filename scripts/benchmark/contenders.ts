import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AZURE_TENANT_ID, NODE_NAME, POD_ADDRESSES, PROJECT_ID, PROVIDER_NAME } from './cluster.ts';
import type { Target } from './load.ts';
import { ServerProcess } from './server-process.ts';
import type { Clouds } from './stand-ins-process.ts';

export const CASES = [
  { name: 'cached token', path: '/computeMetadata/v1/instance/service-accounts/default/token' },
  {
    name: 'cached ID token',
    path: '/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://example.com',
  },
  { name: 'cached AWS credentials', path: '/latest/meta-data/iam/security-credentials/bench' },
  {
    name: 'cached Azure token',
    path: '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net',
  },
  { name: 'email', path: '/computeMetadata/v1/instance/service-accounts/default/email' },
  { name: 'recursive listing', path: '/computeMetadata/v1/?recursive=true' },
] as const;

export type Case = (typeof CASES)[number];
export type ContenderName = 'gke-metadata-server' | 'floor' | 'nginx';

/** One server of one case. */
export interface Contender {
  readonly name: ContenderName;
  readonly pid: number;
  readonly target: Target;
}

/** What the floor asks for, too. */
const HEADERS: Readonly<Record<string, string>> = { 'Metadata-Flavor': 'Google' };
const SERVER_PORT = 16_321;
const HEALTH_PORT = 16_322;
const FLOOR_PORT = 8100;
const NGINX_PORT = 8200;
const [FIRST_POD = ''] = POD_ADDRESSES;

/** What a Pod asks of the server; by default the first Pod. A connection to one of the addresses comes from it, too. */
export function askedOfServer(path: string, podAddress = FIRST_POD, headers = HEADERS): Target {
  return { url: `http://${podAddress}:${SERVER_PORT}${path}`, headers };
}

export interface ServerOptions {
  readonly executable: string;
  readonly kubeconfigFile: string;
  readonly clouds: Clouds;
  readonly folder: string;
}

/**
 * The server as it is released, with every setting that need not be given left at its default; ready. With `more`, flags
 * that switch something on.
 */
export async function startServer(
  options: ServerOptions,
  more: readonly string[] = [],
): Promise<ServerProcess> {
  const { executable, kubeconfigFile, clouds, folder } = options;
  const server = new ServerProcess(
    [
      ...[executable, 'serve'],
      ...['--node-name', NODE_NAME],
      ...['--project-id', PROJECT_ID],
      ...['--workload-identity-provider', PROVIDER_NAME],
      ...['--kubeconfig', kubeconfigFile],
      ...['--google-sts-endpoint', clouds.google],
      ...['--google-iam-credentials-endpoint', clouds.google],
      ...more,
    ],
    join(folder, 'server.log'),
  );
  await server.answers({ url: `http://127.0.0.1:${HEALTH_PORT}/readyz`, headers: {} });
  return server;
}

/** The flags of AWS and Azure. */
export function otherClouds({ aws, entra }: Clouds): readonly string[] {
  return [
    ...['--aws', 'true', '--aws-sts-endpoint', aws],
    ...['--azure', 'true', '--azure-authority-host', entra, '--azure-tenant-id', AZURE_TENANT_ID],
  ];
}

/** The headers of a Pod that has a session of EC2's metadata service. */
async function headersOfSession(): Promise<Readonly<Record<string, string>>> {
  const { url } = askedOfServer('/latest/api/token');
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' };
  const response = await fetch(url, { method: 'PUT', headers });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  return { ...HEADERS, 'x-aws-ec2-metadata-token': await response.text() };
}

/** As the clients of the cloud send them. */
function headersFor(
  { name }: Case,
  session: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (name === 'cached AWS credentials') return session;
  return name === 'cached Azure token' ? { ...HEADERS, Metadata: 'true' } : HEADERS;
}

/** What is measured beside the server, case by case: the floor, and nginx if it is installed. */
export async function startContenders(
  server: ServerProcess,
  folder: string,
  nginx: boolean,
): Promise<{ contenders: ReadonlyMap<Case, readonly Contender[]>; processes: readonly ServerProcess[] }> {
  const contenders = new Map<Case, Contender[]>();
  const processes: ServerProcess[] = [];
  const responses = new Map<number, RecordedResponse>();
  const session = await headersOfSession();
  for (const [index, measured] of CASES.entries()) {
    const headers = headersFor(measured, session);
    const target = askedOfServer(measured.path, FIRST_POD, headers);
    await server.answers(target);
    const response = await record(target);
    responses.set(NGINX_PORT + index, response);
    const responseFile = join(folder, `answer-${index}.json`);
    writeFileSync(responseFile, JSON.stringify(response));
    const port = FLOOR_PORT + index;
    const floor = new ServerProcess(
      [process.execPath, join(import.meta.dir, 'floor.ts'), `${port}`, responseFile],
      join(folder, `floor-${index}.log`),
    );
    processes.push(floor);
    const url = `http://${FIRST_POD}:${port}${measured.path}`;
    const floorTarget = await sameResponse(floor, { url, headers }, response);
    contenders.set(measured, [
      { name: 'gke-metadata-server', pid: server.pid, target },
      { name: 'floor', pid: floor.pid, target: floorTarget },
    ]);
  }
  if (!nginx) return { contenders, processes };
  const configurationFile = join(folder, 'nginx.conf');
  writeFileSync(configurationFile, nginxConfiguration(folder, responses));
  const process_ = new ServerProcess(
    ['nginx', '-c', configurationFile, '-p', folder],
    join(folder, 'nginx.out'),
  );
  processes.push(process_);
  for (const [index, measured] of CASES.entries()) {
    const url = `http://${FIRST_POD}:${NGINX_PORT + index}${measured.path}`;
    const target = { url, headers: headersFor(measured, session) };
    await process_.answers(target);
    contenders.get(measured)?.push({ name: 'nginx', pid: process_.pid, target });
  }
  return { contenders, processes };
}

/** Throws if the floor's responses differ from the server's: the comparison would be meaningless. */
async function sameResponse(
  floor: ServerProcess,
  target: Target,
  response: RecordedResponse,
): Promise<Target> {
  await floor.answers(target);
  const own = await record(target);
  if (Bun.deepEquals(own, response)) return target;
  throw new Error(`The floor responses something else: ${Bun.inspect({ own, response })}`);
}

/** What one server answered, for another to response the same. */
export interface RecordedResponse {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

// what every server writes by itself; `Date` is of the moment
const OWN_HEADERS: readonly string[] = ['content-length', 'date', 'connection', 'keep-alive'];

/** Throws if it is not 200. */
async function record(target: Target): Promise<RecordedResponse> {
  const response = await fetch(target.url, { headers: target.headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${target.url} answered ${response.status}: ${body}`);
  const headers = [...response.headers].filter(([name]) => !OWN_HEADERS.includes(name));
  return { body, headers: Object.fromEntries(headers) };
}

/** One worker that responses each port with `return 200`, all else left out. Everything it writes goes into `folder`. */
function nginxConfiguration(folder: string, responses: ReadonlyMap<number, RecordedResponse>): string {
  const servers = [...responses].map(([port, { body, headers }]) => {
    const { 'content-type': type = 'text/plain', server: _, ...others } = headers;
    const added = Object.entries(others).map(([name, value]) => `add_header ${name} ${quoted(value)};`);
    return `server {
      listen [::]:${port} ipv6only=off backlog=511;
      default_type ${quoted(type)};
      ${added.join(' ')}
      location / { return 200 ${quoted(body)}; }
    }`;
  });
  return `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log ${folder}/nginx.log;
    events { worker_connections 1024; }
    http {
      access_log off;
      keepalive_requests 1000000000;
      client_body_temp_path ${folder};
      proxy_temp_path ${folder};
      fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder};
      scgi_temp_path ${folder};
      ${servers.join('\n')}
    }`;
}

/** A string of its configuration language, in which `$` begins a variable and nothing escapes it. */
function quoted(value: string): string {
  if (value.includes('$')) throw new Error('nginx cannot response with a dollar sign');
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
