import type { ContainerResources, InitNetworkResources, InjectionSettings } from '../injection.ts';
import { isJsonObject } from '../json-patch.ts';
import type { PodEditor } from '../pod-editor.ts';
import { amountOf } from '../quantity.ts';

export const RESOURCES_ANNOTATION = 'gke-metadata-server.matheuscscp.io/init-network-resources';
export const RESOURCES_EXPECTED =
  'auto, none, or JSON such as {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}}';

/**
 * Below these limits it would start in seconds: CPU by measurement (0.5 s at 100m, 3 s at 20m), memory with room to
 * spare (it needs 12Mi).
 */
const LEAST_LIMITS = { cpu: '100m', memory: '64Mi' } as const;
const RESOURCES = ['cpu', 'memory'] as const;
type Resource = (typeof RESOURCES)[number];

/** What a setting or an annotation says; undefined if it makes no sense. See {@link RESOURCES_EXPECTED}. */
export function parseInitNetworkResources(text: string): InitNetworkResources | undefined {
  if (text === 'auto' || text === 'none') return text;
  const { requests = {}, limits = {}, ...others } = parseJsonObject(text) ?? { neither: null };
  if (!isQuantities(requests) || !isQuantities(limits) || Object.keys(others).length > 0) return undefined;
  return { requests, limits };
}

/**
 * The `resources` of `init-network` in this Pod; undefined for none. By `auto` they are those of the Pod's largest
 * container, of CPU and of memory, if all its containers have them. So they never change the Pod's QoS class, fit
 * every LimitRange that its containers fit, and cost a ResourceQuota nothing: Kubernetes counts the larger of init
 * containers and containers. Warns if they cost more than the Pod's own.
 */
export function initNetworkResources(
  pod: PodEditor,
  said: InitNetworkResources,
): ContainerResources | undefined {
  if (said === 'none') return undefined;
  const resources = said === 'auto' ? autoResources(pod) : said;
  if (resources === undefined) return undefined;
  warnOfCosts(pod, resources);
  return resources;
}

/** Annotation of the Pod, then of its Namespace, then the settings; undefined if one of the first makes no sense. */
export function saidResources(
  pod: PodEditor,
  namespaceAnnotations: Readonly<Record<string, string>>,
  settings: InjectionSettings,
): InitNetworkResources | undefined {
  const said = pod.annotations.get(RESOURCES_ANNOTATION) ?? namespaceAnnotations[RESOURCES_ANNOTATION];
  return said === undefined ? settings.initNetworkResources : parseInitNetworkResources(said.trim());
}

function autoResources(pod: PodEditor): ContainerResources | undefined {
  // containers share what the Pod has, and one that asks for more than that is refused
  if (pod.spec.resources !== undefined && pod.spec.resources !== null) return undefined;
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  for (const name of RESOURCES) {
    const { request, limit } = largest(pod, name);
    if (request !== undefined) requests[name] = request;
    if (limit !== undefined) limits[name] = limit;
  }
  const hasAny = Object.keys(requests).length + Object.keys(limits).length > 0;
  return hasAny ? { requests, limits } : undefined;
}

interface Amounts {
  readonly request: string | undefined;
  readonly limit: string | undefined;
}

/** What the container with most of it has. */
function largest(pod: PodEditor, name: Resource): Amounts {
  const all = pod.containers.map(({ resources }): Amounts => {
    const limit = quantityOf(resources.limits, name);
    return { request: quantityOf(resources.requests, name) ?? limit, limit };
  });
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
function warnOfCosts(pod: PodEditor, { requests, limits }: ContainerResources): void {
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
    `init-network has more than the Pod's containers (${over.join(', ')}), which a ResourceQuota counts; ` +
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
