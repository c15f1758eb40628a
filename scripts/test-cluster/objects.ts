import type { KubernetesObject } from '../module/render.ts';
import { type ApiClient, ApiError, warningsOf } from './api-client.ts';

/** What says which object is meant. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Resource {
  /** Of a subresource: `pods/log`. */
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Objects of any kind that the API server knows, by its own word for where each kind is. */
export class Objects {
  readonly #resources = new Map<string, Promise<readonly Resource[]>>();
  readonly #warnings = new Set<string>();

  constructor(
    private readonly api: ApiClient,
    private readonly fieldManager = 'tests',
  ) {}

  /** Of all answers so far, each once: what `kubectl` would print. */
  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  /** Throws where the API server has no such kind. */
  async path({ apiVersion, kind, metadata: { name, namespace } }: ObjectReference): Promise<string> {
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const resource = (await this.#resourcesOf(group)).find(
      (one) => one.kind === kind && !one.name.includes('/'),
    );
    if (resource === undefined) throw new Error(`the API server has no ${kind} of ${apiVersion}`);
    const inNamespace = resource.namespaced ? `/namespaces/${segment(namespace ?? 'default')}` : '';
    return `${group}${inNamespace}/${resource.name}/${segment(name)}`;
  }

  /** Makes the object, or makes it what is given; what others have set beside that stays. Returns it as it is then. */
  async apply(object: KubernetesObject, { dryRun = false } = {}): Promise<KubernetesObject> {
    const query = `fieldManager=${this.fieldManager}&force=true${dryRun ? '&dryRun=All' : ''}`;
    const contentType = 'application/apply-patch+yaml';
    const response = await this.api.fetch('PATCH', `${await this.path(object)}?${query}`, {
      contentType,
      body: object,
    });
    for (const warning of warningsOf(response)) this.#warnings.add(warning);
    const text = await response.text();
    if (!response.ok) throw new ApiError(response.status, `${describe(object)}: ${text}`);
    return JSON.parse(text);
  }

  /** Undefined where it is not there. */
  async get(reference: ObjectReference): Promise<KubernetesObject | undefined> {
    const response = await this.api.fetch('GET', await this.path(reference));
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new ApiError(response.status, `${describe(reference)}: ${text}`);
    return JSON.parse(text);
  }

  /** What it owns goes later; that it is not there is as good. */
  async delete(reference: ObjectReference): Promise<void> {
    const path = `${await this.path(reference)}?propagationPolicy=Background`;
    const response = await this.api.fetch('DELETE', path);
    const text = await response.text();
    if (!response.ok && response.status !== 404) {
      throw new ApiError(response.status, `${describe(reference)}: ${text}`);
    }
  }

  /** Asked for once, and again after a failure: a kind may be made later. */
  #resourcesOf(group: string): Promise<readonly Resource[]> {
    const known = this.#resources.get(group);
    if (known) return known;
    const asked = this.api
      .json<{ resources: readonly Resource[] }>('GET', group)
      .then(({ resources }) => resources);
    this.#resources.set(group, asked);
    asked.catch(() => this.#resources.delete(group));
    return asked;
  }
}

/** `KIND NAMESPACE/NAME`, for people. */
export function describe({ kind, metadata: { name, namespace } }: ObjectReference): string {
  return namespace === undefined ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

/** A name as one segment of a path: RBAC's may have colons, so that Kubernetes' rule for segments is the one that fits all. */
function segment(name: string): string {
  if (!/^[^/%]{1,253}$/.test(name) || name === '.' || name === '..')
    throw new Error(`not the name of an object: '${name}'`);
  return encodeURIComponent(name);
}
