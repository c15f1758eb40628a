import type { KubernetesObject } from '../module/render.ts';
import { describe, type ObjectReference, type Objects } from './objects.ts';

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

/** Why the object is not yet what it says; undefined where it is, or is of a kind that is so at once. */
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
  if (status.observedGeneration !== generation) return 'has not been looked at';
  if (updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted) return undefined;
  return `has ${replicas} replicas, ${updatedReplicas} of them current, ${availableReplicas} available, wants ${wanted}`;
}

function daemonSet({ metadata: { generation }, status = {} }: WithStatus): string | undefined {
  const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  if (status.observedGeneration !== generation) return 'has not been looked at';
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
    return current === undefined ? 'is not there' : unhealthy(current);
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
