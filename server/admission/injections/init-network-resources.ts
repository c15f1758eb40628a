import type { ContainerResources, InitNetworkResources, InjectionContext } from '../injection.ts';
import { isJsonObject } from '../json-patch.ts';
import type { PodEditor } from '../pod-editor.ts';
import { amountOf } from '../quantity.ts';
import { type Form, readPodAnnotation } from './annotations.ts';

const RESOURCES_ANNOTATION = 'gke-metadata-server.matheuscscp.io/init-network-resources';
export const RESOURCES_EXPECTED =
  'auto, none, or JSON such as {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}}';

/**
 * Below these limits it would start in seconds: CPU by measurement (0.5 s at 100m, 3 s at 20m), memory with room to
 * spare (it needs 12Mi).
 */
const LEAST_LIMITS = { cpu: '100m', memory: '64Mi' } as const;
/**
 * Of a container that sleeps nearly all the time. In a Guaranteed Pod its requests are its limits. By measurement it has
 * 12Mi of its own, and the program's file is shared; CPU is for its start, for which nobody waits.
 */
const SIDECAR = {
  cpu: { request: '10m', limit: '50m' },
  memory: { request: '32Mi', limit: '64Mi' },
} as const;
const RESOURCES = ['cpu', 'memory'] as const;
type Resource = (typeof RESOURCES)[number];

/** What a setting or an annotation says; undefined if it makes no sense. See {@link RESOURCES_EXPECTED}. */
export function parseInitNetworkResources(text: string): InitNetworkResources | undefined {
  if (text === 'auto' || text === 'none') return text;
  const { requests = {}, limits = {}, ...others } = parseJsonObject(text) ?? { neither: null };
  if (!isQuantities(requests) || !isQuantities(limits) || Object.keys(others).length > 0) return undefined;
  return { requests, limits };
}

const ANNOTATION: Form<InitNetworkResources> = {
  parse: (text) => parseInitNetworkResources(text.trim()),
  expected: RESOURCES_EXPECTED,
};

/** How a container that the webhook adds runs: before the Pod's containers, or beside them. */
type Place = 'before' | 'beside';

/**
 * The `resources` of a container that the webhook adds to this Pod, as a field of it, if there are any. By `auto`, of CPU
 * and of memory, if all the Pod's containers have them:
 *
 * - before the containers, those of the largest container. So they never change the Pod's QoS class, fit every
 *   LimitRange that its containers fit, and cost a ResourceQuota nothing: Kubernetes counts the larger of init containers
 *   and containers;
 * - beside them, where they do cost, {@link SIDECAR}: they never change the Pod's QoS class either.
 *
 * What the annotation of the Pod says comes first, then that of its Namespace, then the settings. Warns if the first cost
 * more than the Pod's own. Throws `InjectionRefused` if an annotation is invalid.
 */
export function addedResources(
  pod: PodEditor,
  { namespace, settings }: InjectionContext,
  container: string,
  place: Place,
): { resources?: Partial<ContainerResources> } {
  const said =
    readPodAnnotation(pod, namespace, RESOURCES_ANNOTATION, ANNOTATION) ?? settings.initNetworkResources;
  const resources = said === 'auto' ? autoResources(pod, place) : said;
  if (resources === 'none') return {};
  if (place === 'before') warnOfCosts(pod, resources, container);
  const isEmpty = (quantities: object) => Object.keys(quantities).length === 0;
  const { requests, limits } = resources;
  const some = { ...(isEmpty(requests) ? {} : { requests }), ...(isEmpty(limits) ? {} : { limits }) };
  return said === 'auto' && isEmpty(some) ? {} : { resources: some };
}

function autoResources(pod: PodEditor, place: Place): ContainerResources | 'none' {
  // containers share what the Pod has, and one that asks for more than that is refused
  if (pod.spec.resources !== undefined && pod.spec.resources !== null) return 'none';
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  for (const name of RESOURCES) {
    const { request, limit } = place === 'before' ? largest(pod, name) : small(pod, name);
    if (request !== undefined) requests[name] = request;
    if (limit !== undefined) limits[name] = limit;
  }
  return { requests, limits };
}

interface Amounts {
  readonly request: string | undefined;
  readonly limit: string | undefined;
}

/** What each container has; a limit is the request too if there is none. */
function amountsOf(pod: PodEditor, name: Resource): Amounts[] {
  return pod.containers.map(({ resources }) => {
    const limit = quantityOf(resources.limits, name);
    return { request: quantityOf(resources.requests, name) ?? limit, limit };
  });
}

/** {@link SIDECAR}, as far as all containers have it. */
function small(pod: PodEditor, name: Resource): Amounts {
  const all = amountsOf(pod, name);
  const { request, limit } = SIDECAR[name];
  const isRequested = all.every((amounts) => amounts.request !== undefined);
  const isLimited = all.every((amounts) => amounts.limit !== undefined);
  const areEqual = all.every((amounts) => amountOf(amounts.request) === amountOf(amounts.limit));
  return {
    request: isRequested ? (isLimited && areEqual ? limit : request) : undefined,
    limit: isLimited ? limit : undefined,
  };
}

/** What the container with most of it has. */
function largest(pod: PodEditor, name: Resource): Amounts {
  const all = amountsOf(pod, name);
  const has = (what: keyof Amounts) => all.every((amounts) => amounts[what] !== undefined);
  const [isRequested, isLimited] = [has('request'), has('limit')];
  const by = isLimited ? 'limit' : 'request';
  const most = all.reduce(
    (a, b) => ((amountOf(b[by]) ?? 0) > (amountOf(a[by]) ?? 0) ? b : a),
    all[0] ?? NONE,
  );
  const { request, limit } = {
    request: isRequested ? most.request : undefined,
    limit: isLimited ? most.limit : undefined,
  };
  const least = LEAST_LIMITS[name];
  // both, or a LimitRange's ratio of the two may refuse it
  const isTooLittle = limit !== undefined && (amountOf(limit) ?? 0) < (amountOf(least) ?? 0);
  return isTooLittle ? { request: isRequested ? least : undefined, limit: least } : { request, limit };
}

const NONE: Amounts = { request: undefined, limit: undefined };

/** A quota counts the larger of an init container and the sum of the containers. */
function warnOfCosts(pod: PodEditor, { requests, limits }: ContainerResources, container: string): void {
  const over: string[] = [];
  for (const [kind, quantities] of Object.entries({ requests, limits })) {
    for (const [name, quantity] of Object.entries(quantities)) {
      const own = pod.containers.map(({ resources }) =>
        amountOf(quantityOf(kind === 'requests' ? resources.requests : resources.limits, name)),
      );
      const sum = own.reduce<number>((total, amount) => total + (amount ?? 0), 0);
      if ((amountOf(quantity) ?? 0) > sum) over.push(`${kind}.${name} ${quantity}`);
    }
  }
  if (over.length === 0) return;
  pod.warn(
    `${container} has more than the Pod's containers (${over.join(', ')}), which a ResourceQuota counts; ` +
      `to change it, set the annotation ${RESOURCES_ANNOTATION} or the value webhook.initNetworkResources`,
  );
}

function quantityOf(quantities: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const quantity = Object.hasOwn(quantities, name) ? quantities[name] : undefined;
  return typeof quantity === 'string' || typeof quantity === 'number' ? String(quantity) : undefined;
}

function parseJsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isJsonObject(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

function isQuantities(value: unknown): value is Record<string, string> {
  return (
    isJsonObject(value) &&
    Object.values(value).every((quantity) => typeof quantity === 'string' && amountOf(quantity) !== undefined)
  );
}
