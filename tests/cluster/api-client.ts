import { readFileSync } from 'node:fs';
import { KubeConfig } from '@kubernetes/client-node';

/** What the API server answered instead of success. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(`${status}: ${message}`);
    this.name = 'ApiError';
  }
}

interface ApiRequest {
  readonly body?: unknown;
  /** `application/json` by default; a patch names its kind, such as `application/merge-patch+json`. */
  readonly contentType?: string;
  /** Instead of the kubeconfig's own user. */
  readonly token?: string;
  /** Whom the kubeconfig's user acts for, as by `kubectl --as USER --as-group GROUP`. */
  readonly as?: { readonly user: string; readonly group?: string };
  readonly signal?: AbortSignal;
}

/** The plain HTTP of a kubeconfig's cluster, as its user: for tests, which want no types between. */
export class ApiClient {
  /** The URL of the API server. */
  readonly server: string;
  readonly #token: string | undefined;
  readonly #tls: { ca?: string; cert?: string; key?: string };

  constructor(kubeconfig: string) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const cluster = config.getCurrentCluster();
    const user = config.getCurrentUser();
    if (!cluster) throw new Error(`${kubeconfig} names no current cluster`);
    const ca = pem(cluster.caData, cluster.caFile);
    const cert = pem(user?.certData, user?.certFile);
    const key = pem(user?.keyData, user?.keyFile);
    this.server = cluster.server;
    this.#token = user?.token;
    this.#tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  }

  /** The response with any status, its body unread: for watches. */
  async fetch(method: string, path: string, request: ApiRequest = {}): Promise<Response> {
    const headers = new Headers({ 'Content-Type': request.contentType ?? 'application/json' });
    const token = request.token ?? this.#token;
    if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
    if (request.as !== undefined) headers.set('Impersonate-User', request.as.user);
    if (request.as?.group !== undefined) headers.set('Impersonate-Group', request.as.group);
    const { cert: _cert, key: _key, ...anonymous } = this.#tls;
    return fetch(`${this.server}${path}`, {
      method,
      headers,
      tls: request.token === undefined ? this.#tls : anonymous,
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
      ...(request.signal && { signal: request.signal }),
    });
  }

  /** The response's text. Throws {@link ApiError} with the server's message. */
  async text(method: string, path: string, request: ApiRequest = {}): Promise<string> {
    const response = await this.fetch(method, path, request);
    const text = await response.text();
    if (!response.ok) throw new ApiError(response.status, text);
    return text;
  }

  /**
   * Runs a program in a container as `kubectl exec` does: `v4.channel.k8s.io` on a WebSocket, whose messages begin
   * with the number of their stream (k8s.io/apimachinery/pkg/util/remotecommand). Throws if there is no such container.
   */
  exec(pod: string, container: string, command: readonly string[]): Promise<ExecResult> {
    const query = new URLSearchParams([
      ['container', container],
      ['stdout', 'true'],
      ['stderr', 'true'],
    ]);
    for (const argument of command) query.append('command', argument);
    const url = `${this.server.replace(/^http/, 'ws')}${pod}/exec?${query}`;
    const headers = this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` };
    const socket = new WebSocket(url, { protocols: ['v4.channel.k8s.io'], headers, tls: this.#tls });
    socket.binaryType = 'arraybuffer';
    const streams: Buffer[][] = [[], [], [], []];
    const text = (stream: number) => Buffer.concat(streams[stream] ?? []).toString();
    return new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        const message = Buffer.from(data);
        streams[message[0] ?? 0]?.push(message.subarray(1));
      };
      socket.onclose = ({ code, reason }) => {
        if (text(3) === '') reject(new Error(`exec in ${pod} ended with ${code} ${reason}`));
        else resolve({ exitCode: exitCodeOf(JSON.parse(text(3))), stdout: text(1), stderr: text(2) });
      };
    });
  }

  /** The response parsed; `T` is the caller's word for what the API server sends. Throws {@link ApiError}. */
  async json<T>(method: string, path: string, request: ApiRequest = {}): Promise<T> {
    // the caller names the kind by the path, and tests fail loudly on a shape that is not theirs
    return JSON.parse(await this.text(method, path, request)) as T;
  }
}

/** What a program in a container wrote, and how it ended. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The texts of a response's warnings, which `kubectl` would print: RFC 7234's `299 - "text"`. */
export function warningsOf({ headers }: Response): string[] {
  const values = [...(headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)];
  return values.map(([, text = '']) => text.replace(/\\(.)/g, '$1'));
}

function pem(data: string | undefined, file: string | undefined): string | undefined {
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  return file ? readFileSync(file, 'utf8') : undefined;
}

/** Of the Status that ends an exec: of a program that failed, its exit code is a cause. Throws its message else. */
function exitCodeOf(status: {
  readonly status: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}): number {
  if (status.status === 'Success') return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  if (cause === undefined) throw new Error(status.message);
  return Number(cause.message);
}
