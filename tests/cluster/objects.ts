import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
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

  /** Of all responses so far, each once: what `kubectl` would print. */
  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  /** Throws if the API server has no such kind. */
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

  /** Undefined if it does not exist. */
  async get(reference: ObjectReference): Promise<KubernetesObject | undefined> {
    const response = await this.api.fetch('GET', await this.path(reference));
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new ApiError(response.status, `${describe(reference)}: ${text}`);
    return JSON.parse(text);
  }

  /** Its dependents are deleted later; a missing object is not an error. */
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

const THREE_MINUTES = 180_000;

/** The fields of any object's status that tell how it is. */
interface Status {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly availableReplicas?: number;
  readonly desiredNumberScheduled?: number;
  readonly updatedNumberScheduled?: number;
  readonly numberAvailable?: number;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

interface WithStatus {
  readonly metadata: { readonly generation?: number };
  readonly spec?: { readonly replicas?: number };
  readonly status?: Status;
}

type Judge = (object: WithStatus) => string | undefined;

/** The kinds that become what they say some time after they are applied. */
const judges: ReadonlyMap<string, Judge> = new Map([
  ['CustomResourceDefinition', condition('Established')],
  ['Issuer', condition('Ready')],
  ['ClusterIssuer', condition('Ready')],
  ['Certificate', condition('Ready')],
  ['Job', condition('Complete')],
  ['Deployment', deployment],
  ['DaemonSet', daemonSet],
]);

/** Those of them that wait for a Node's Pods. */
export const workloadKinds: ReadonlySet<string> = new Set(['Deployment', 'DaemonSet', 'Job']);

/** Why the object is not healthy yet; undefined if it is, or if its kind is healthy at once. */
export function unhealthy(object: KubernetesObject): string | undefined {
  // the API server's own, of a kind whose status has this shape
  return judges.get(object.kind)?.(object as WithStatus);
}

function condition(type: string): Judge {
  return ({ metadata: { generation }, status }) => {
    const found = status?.conditions?.find((one) => one.type === type);
    if (found === undefined) return `is not ${type} yet`;
    if (found.status !== 'True') return `is not ${type}: ${found.message}`;
    const { observedGeneration = generation } = found;
    return observedGeneration === generation ? undefined : `is ${type} as it was before`;
  };
}

function deployment({ metadata: { generation }, spec, status = {} }: WithStatus): string | undefined {
  const wanted = spec?.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  if (status.observedGeneration !== generation) return 'has not been observed';
  if (updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted) return undefined;
  return `has ${replicas} replicas, ${updatedReplicas} of them current, ${availableReplicas} available, wants ${wanted}`;
}

function daemonSet({ metadata: { generation }, status = {} }: WithStatus): string | undefined {
  const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  if (status.observedGeneration !== generation) return 'has not been observed';
  if (updatedNumberScheduled === wanted && numberAvailable >= wanted) return undefined;
  return `has ${updatedNumberScheduled} current Pods, ${numberAvailable} available, wants ${wanted}`;
}

/** Resolves when all of them are healthy. Throws with what is not after `patience` milliseconds, by default 3 minutes. */
export async function untilHealthy(
  objects: Objects,
  references: readonly ObjectReference[],
  patience?: number,
): Promise<void> {
  await untilAll('all is healthy', references, patience, async (reference) => {
    const current = await objects.get(reference);
    return current === undefined ? 'does not exist' : unhealthy(current);
  });
}

/** Resolves when none of them is `lacking` anything any more, of which it asks every 100 ms. Throws as above. */
export async function untilAll(
  what: string,
  references: readonly ObjectReference[],
  patience = THREE_MINUTES,
  lacking: (reference: ObjectReference) => Promise<string | undefined>,
): Promise<void> {
  const deadline = performance.now() + patience;
  for (const reference of references) {
    for (;;) {
      const words = await lacking(reference);
      if (words === undefined) break;
      if (performance.now() > deadline) {
        throw new Error(`waited in vain until ${what}: ${describe(reference)} ${words}`);
      }
      await Bun.sleep(100);
    }
  }
}

/** Applies the CustomResourceDefinitions in a folder's YAML files, and waits until the API server serves their kinds. */
export async function applyCustomResources(api: ApiClient, folder: string): Promise<void> {
  const objects = new Objects(api);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'));
  const definitions = await Promise.all(files.map((file) => definitionIn(join(folder, file))));
  for (const definition of definitions) await objects.apply(definition);
  await untilHealthy(objects, definitions);
}

async function definitionIn(file: string): Promise<KubernetesObject> {
  const documents = Bun.YAML.parse(await Bun.file(file).text());
  // what a controller's authors publish, one definition in a file, and the API server looks closely
  return [documents].flat()[0] as KubernetesObject;
}
