import type { KubernetesObject } from '../../scripts/module/render.ts';

interface Relabeling {
  readonly action?: string;
  readonly sourceLabels?: readonly string[];
  readonly regex?: string;
  readonly targetLabel?: string;
  readonly replacement?: string;
}

/** A PodMonitor, as far as ours go: the CRD's schema has checked it when it was rendered. */
interface PodMonitor {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly {
      readonly path: string;
      readonly interval: string;
      readonly relabelings: readonly Relabeling[];
    }[];
  };
}

/** A Pod as Prometheus discovers it, one target for each container that declares no port. */
export interface DiscoveredPod {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly nodeName: string;
  readonly container: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function podMonitor(objects: readonly KubernetesObject[], name: string): PodMonitor {
  const found = objects.find(({ kind, metadata }) => kind === 'PodMonitor' && metadata.name === name);
  if (found === undefined) throw new Error(`no PodMonitor ${name} was rendered`);
  return found as unknown as PodMonitor; // by the CRD's schema, which is part of the module
}

/**
 * The scrape configuration that the Prometheus operator makes of a PodMonitor, with the Pods that are there, or with
 * `discovery`, Prometheus' own. What is left out are fields that ours have not. As generatePodMonitorConfig has it:
 * https://github.com/prometheus-operator/prometheus-operator/blob/main/pkg/prometheus/promcfg.go
 */
export function scrapeConfig(
  { metadata, spec }: PodMonitor,
  pods: readonly DiscoveredPod[],
  discovery: object = { static_configs: pods.map(staticConfig) },
): object {
  const [endpoint] = spec.podMetricsEndpoints;
  if (endpoint === undefined) throw new Error(`PodMonitor ${metadata.name} has no endpoint`);
  return {
    job_name: `podMonitor/${metadata.namespace}/${metadata.name}/0`,
    metrics_path: endpoint.path,
    ...discovery,
    relabel_configs: [
      { source_labels: ['__meta_kubernetes_pod_phase'], regex: '(Failed|Succeeded)', action: 'drop' },
      ...Object.entries(spec.selector.matchLabels).map(([label, value]) => ({
        action: 'keep',
        source_labels: [metaLabel('label', label), metaLabel('labelpresent', label)],
        regex: `(${value});true`,
      })),
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: ['__meta_kubernetes_pod_container_name'], target_label: 'container' },
      { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
      { target_label: 'job', replacement: `${metadata.namespace}/${metadata.name}` },
      ...endpoint.relabelings.map(({ sourceLabels, targetLabel, ...same }) => ({
        ...same,
        ...(sourceLabels !== undefined && { source_labels: sourceLabels }),
        ...(targetLabel !== undefined && { target_label: targetLabel }),
      })),
    ],
  };
}

function staticConfig(pod: DiscoveredPod): object {
  return {
    targets: [pod.ip],
    labels: {
      __meta_kubernetes_namespace: pod.namespace,
      __meta_kubernetes_pod_name: pod.name,
      __meta_kubernetes_pod_ip: pod.ip,
      __meta_kubernetes_pod_phase: 'Running',
      __meta_kubernetes_pod_node_name: pod.nodeName,
      __meta_kubernetes_pod_container_name: pod.container,
      ...Object.fromEntries(
        Object.entries(pod.labels).flatMap(([label, value]) => [
          [metaLabel('label', label), value],
          [metaLabel('labelpresent', label), 'true'],
        ]),
      ),
    },
  };
}

function metaLabel(kind: 'label' | 'labelpresent', label: string): string {
  return `__meta_kubernetes_pod_${kind}_${label.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`;
}
