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

export interface ApiRequest {
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

  /** The response whatever its status, its body unread: for watches. */
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

  /** The answer's text. Throws {@link ApiError} with the server's message. */
  async text(method: string, path: string, request: ApiRequest = {}): Promise<string> {
    const response = await this.fetch(method, path, request);
    const text = await response.text();
    if (!response.ok) throw new ApiError(response.status, text);
    return text;
  }

  /** The answer parsed; `T` is the caller's word for what the API server sends. Throws {@link ApiError}. */
  async json<T>(method: string, path: string, request: ApiRequest = {}): Promise<T> {
    // the caller names the kind by the path, and tests fail loudly on a shape that is not theirs
    return JSON.parse(await this.text(method, path, request)) as T;
  }
}

/** The texts of an answer's warnings, which `kubectl` would print: RFC 7234's `299 - "text"`. */
export function warningsOf({ headers }: Response): string[] {
  const values = [...(headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)];
  return values.map(([, text = '']) => text.replace(/\\(.)/g, '$1'));
}

function pem(data: string | undefined, file: string | undefined): string | undefined {
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  return file ? readFileSync(file, 'utf8') : undefined;
}
