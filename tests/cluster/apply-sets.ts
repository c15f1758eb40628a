import type { KubernetesObject, ObjectSet } from '../../scripts/module/render.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { describe, type ObjectReference, Objects, untilAll, untilHealthy, workloadKinds } from './objects.ts';

interface ApplyOptions {
  /** The instance of the sets: objects applied earlier under the same name and Namespace are pruned. */
  readonly name: string;
  readonly namespace: string;
  /** Whether there are controllers and a Node, without which no Deployment, DaemonSet or Job gets anywhere. */
  readonly hasNodes: boolean;
  /** Milliseconds that a set may take to be healthy; 3 minutes by default. */
  readonly patience?: number;
}

interface Applied {
  /** Of the API server about any of the objects, each once. */
  readonly warnings: readonly string[];
  /** What was applied before and no longer is there, such as `ConfigMap default/one`. */
  readonly pruned: readonly string[];
}

/**
 * Does what `timoni apply` does: makes the Namespace; set after set tries all of its objects, applies those that
 * this would change and waits until all are healthy; then removes what an earlier call had applied and this one has not. Throws with the first
 * refusal, or with what does not get healthy.
 */
export async function applySets(
  api: ApiClient,
  sets: readonly ObjectSet[],
  options: ApplyOptions,
): Promise<Applied> {
  const objects = new Objects(api);
  const { name, namespace } = options;
  await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const inventory = new Inventory(objects, `${name}-inventory`, namespace);
  const before = await inventory.read();
  // what is half applied when something fails is pruned one day, too
  const now = sets.flatMap((set) => set.objects.map(referenceOf));
  await inventory.write(union(before, now));
  for (const set of sets) await applySet(objects, set, options);
  const gone = before.filter((reference) => !includes(now, reference)).sort(byKind);
  for (const reference of gone.toReversed()) await objects.delete(reference);
  await untilAll('all that is pruned is gone', gone, options.patience, async (reference) => {
    return (await objects.get(reference)) === undefined ? undefined : 'is still there';
  });
  await inventory.write(now);
  return { warnings: objects.warnings, pruned: gone.map(describe) };
}

async function applySet(objects: Objects, set: ObjectSet, options: ApplyOptions): Promise<void> {
  const ordered = set.objects.toSorted(byKind);
  const changed: KubernetesObject[] = [];
  for (const object of ordered) {
    const wanted = await dryRun(objects, object, options);
    if (wanted === undefined || !Bun.deepEquals(ownPart(wanted), ownPart(await objects.get(object))))
      changed.push(object);
  }
  for (const object of changed) await objects.apply(object);
  const waitedFor = ordered.filter(({ kind }) => options.hasNodes || !workloadKinds.has(kind));
  await untilHealthy(objects, waitedFor, options.patience);
}

/** What applying would make of an object; undefined if it is recreated, since it is immutable and says that it may be replaced. */
async function dryRun(
  objects: Objects,
  object: KubernetesObject,
  { patience }: ApplyOptions,
): Promise<KubernetesObject | undefined> {
  try {
    return await objects.apply(object, { dryRun: true });
  } catch (error) {
    const { 'action.timoni.sh/force': force } = Object(object.metadata['annotations']);
    if (force !== 'enabled' || !(error instanceof ApiError) || error.status !== 422) throw error;
    await objects.delete(object);
    await untilAll('what is replaced is gone', [object], patience, async (reference) => {
      return (await objects.get(reference)) === undefined ? undefined : 'is still there';
    });
    return undefined;
  }
}

/** What an apply may change of an object: the rest is the API server's and the controllers'. */
function ownPart(object: KubernetesObject | undefined): unknown {
  if (object === undefined) return undefined;
  const { metadata, status: _, ...rest } = object;
  const { labels, annotations } = metadata;
  return { ...rest, metadata: { labels, annotations } };
}

/** What an instance's objects are, kept in a ConfigMap beside them. */
class Inventory {
  readonly #reference: ObjectReference;

  constructor(
    private readonly objects: Objects,
    name: string,
    namespace: string,
  ) {
    this.#reference = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } };
  }

  async read(): Promise<readonly ObjectReference[]> {
    const found = await this.objects.get(this.#reference);
    // written by this class alone
    const { data } = (found ?? {}) as { data?: { objects: string } };
    return data === undefined ? [] : JSON.parse(data.objects);
  }

  async write(references: readonly ObjectReference[]): Promise<void> {
    await this.objects.apply({ ...this.#reference, data: { objects: JSON.stringify(references) } });
  }
}

function referenceOf({ apiVersion, kind, metadata: { name, namespace } }: ObjectReference): ObjectReference {
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) } };
}

function includes(references: readonly ObjectReference[], wanted: ObjectReference): boolean {
  return references.some((one) => Bun.deepEquals(one, wanted));
}

function union(one: readonly ObjectReference[], other: readonly ObjectReference[]): ObjectReference[] {
  return [...one, ...other.filter((reference) => !includes(one, reference))];
}

/** What others stand on first; what makes the API server ask somebody last. All else in between, in the order given. */
const FIRST = [
  ...['CustomResourceDefinition', 'Namespace', 'ServiceAccount', 'ClusterRole', 'Role'],
  ...['ClusterRoleBinding', 'RoleBinding', 'ConfigMap', 'Secret', 'Service', 'PriorityClass'],
];
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

function byKind(one: ObjectReference, other: ObjectReference): number {
  return rank(one) - rank(other);
}

function rank({ kind }: ObjectReference): number {
  if (LAST.includes(kind)) return 1 + LAST.indexOf(kind);
  return FIRST.includes(kind) ? FIRST.indexOf(kind) - FIRST.length : 0;
}
