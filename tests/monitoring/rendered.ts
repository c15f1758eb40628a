import type { KubernetesObject, ModuleRenderer, ModuleValues } from '../../scripts/module/render.ts';

/** One alert of the PrometheusRule. */
interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** Minutes or hours: 5m, 1h. */
  readonly for: string;
  readonly labels: { readonly severity: string; readonly namespace: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertRule[];
}

/** A panel of Grafana's JSON model, as far as it is read here; a row is one too. */
export interface Panel {
  readonly type: 'row' | 'stat' | 'timeseries';
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit: string;
      readonly thresholds: {
        readonly steps: readonly { readonly color: string; readonly value: number | null }[];
      };
    };
  };
}

export interface Dashboard {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

/** What the module renders with all of its monitoring on. */
export interface Monitoring {
  readonly objects: readonly KubernetesObject[];
  readonly groups: readonly RuleGroup[];
  readonly rules: readonly AlertRule[];
  readonly dashboard: Dashboard;
}

/** The instance that is monitored. */
export const instance = { name: 'gke-metadata-server', namespace: 'gkems-system' } as const;

/** Values with all of the monitoring on, and with `values` beside. */
export async function renderMonitoring(
  renderer: ModuleRenderer,
  { settings, ...values }: ModuleValues & { readonly settings?: object } = {},
): Promise<Monitoring> {
  const sets = await renderer.render(
    {
      image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
      monitoring: {
        podMonitor: { enabled: true },
        prometheusRule: { enabled: true },
        dashboard: { enabled: true },
      },
      ...values,
      settings: {
        projectID: 'example-project',
        workloadIdentityProvider: 'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
        ...settings,
      },
    },
    instance,
  );
  const objects = sets.find(({ name }) => name === 'monitoring')?.objects ?? [];
  const find = (kind: string) => {
    const found = objects.find((object) => object.kind === kind);
    if (found === undefined) throw new Error(`no ${kind} was rendered`);
    return found;
  };
  // by the schemas that the module is checked against when it is rendered, and the dashboard by #Grafana
  const { spec } = find('PrometheusRule') as unknown as { spec: { groups: readonly RuleGroup[] } };
  const { data } = find('ConfigMap') as unknown as { data: Record<string, string> };
  const { groups } = spec;
  const [json = ''] = Object.values(data);
  const dashboard = JSON.parse(json) as Dashboard;
  return { objects, groups, rules: groups.flatMap(({ rules }) => rules), dashboard };
}
