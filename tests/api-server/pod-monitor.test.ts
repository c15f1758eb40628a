import { beforeAll, expect, test } from 'bun:test';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { kubernetesPrometheus } from '../../scripts/tools/prometheus.ts';
import { anyCluster } from '../cluster/any-cluster.ts';
import { ModuleInstance } from '../module-instance.ts';
import { podMonitor, scrapeConfig } from '../monitoring/pod-monitor.ts';
import { Prometheus } from '../monitoring/prometheus.ts';
import { waitUntil } from '../wait-until.ts';

const SLOW_MACHINE = 180_000;
const A_COLD_BUILD = 1_500_000;
const NODE = 'no-such-node';

let prometheus: string;
beforeAll(async () => {
  prometheus = await kubernetesPrometheus(new Cache());
}, A_COLD_BUILD);

interface Workload {
  readonly spec: {
    readonly template: { readonly metadata: object; readonly spec: { readonly containers: object[] } };
  };
}

/** A Pod as its workload makes it, as far as Prometheus looks at it. */
function podOf(workload: KubernetesObject, name: string, sidecars: readonly object[] = []): object {
  // rendered against the Kubernetes schemas
  const { template } = (workload as unknown as Workload).spec;
  const containers = template.spec.containers.map((container) => ({ ...pick(container), image: 'none' }));
  return {
    metadata: { ...template.metadata, name },
    spec: {
      nodeName: NODE,
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      containers: [...containers, ...sidecars],
    },
  };
}

function pick({ name, ports }: { readonly name?: string; readonly ports?: object[] }): object {
  return { name, ...(ports !== undefined && { ports }) };
}

test(
  'of what ships, Prometheus finds one target a Pod, at its health port, in either family of addresses',
  async () => {
    await using cluster = await anyCluster({ mode: 'api' });
    const { api, kubeconfig } = cluster;
    const name = `gms-${crypto.randomUUID().slice(0, 8)}`;
    const values = {
      image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
      settings: {
        projectID: 'example-project',
        workloadIdentityProvider: 'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
        healthPort: 17001,
      },
      webhook: { healthPort: 17002 },
      monitoring: { podMonitor: { enabled: true } },
    };
    const module = await ModuleInstance.render(values, { name, namespace: name });
    const path = `/api/v1/namespaces/${name}`;
    await api.text('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
    try {
      await api.fetch('POST', `${path}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
      const server = module.object('DaemonSet', '');
      const webhook = module.object('Deployment', 'webhook');
      const proxy = { name: 'mesh-proxy', image: 'none', ports: [{ containerPort: 15090 }] };
      const pods = [
        ['server', '192.0.2.1', podOf(server, 'server')],
        ['server-ipv6', '2001:db8::1', podOf(server, 'server-ipv6')],
        ['server-with-sidecar', '192.0.2.2', podOf(server, 'server-with-sidecar', [proxy])],
        ['webhook', '192.0.2.3', podOf(webhook, 'webhook')],
        ['ended', '192.0.2.4', podOf(server, 'ended')],
        ['without-address', undefined, podOf(server, 'without-address')],
      ] as const;
      for (const [pod, address, body] of pods) {
        await api.text('POST', `${path}/pods`, { body });
        const phase = pod === 'ended' ? 'Failed' : address === undefined ? 'Pending' : 'Running';
        await api.text('PATCH', `${path}/pods/${pod}/status`, {
          contentType: 'application/merge-patch+json',
          body: {
            status: { phase, ...(address !== undefined && { podIP: address, podIPs: [{ ip: address }] }) },
          },
        });
      }

      const namespaces = { names: [name] };
      const discovery = { kubernetes_sd_configs: [{ role: 'pod', kubeconfig_file: kubeconfig, namespaces }] };
      const monitors = module.set('monitoring');
      await using discovering = await Prometheus.start(
        { prometheus },
        {
          interval: 60,
          scrapeConfigs: monitors.map(({ metadata }) =>
            scrapeConfig(podMonitor(monitors, metadata.name), [], discovery),
          ),
        },
      );
      const targets = async () => {
        const found = (await discovering.targets()).map(({ labels, scrapeUrl }) => ({
          ...labels,
          scrapeUrl,
        }));
        return found.sort((a, b) => a.scrapeUrl.localeCompare(b.scrapeUrl));
      };
      const target = (component: 'server' | 'webhook', pod: string, instance: string) => ({
        job: `${name}/${name}-${component}`,
        namespace: name,
        pod,
        container: component,
        node: NODE,
        instance,
        scrapeUrl: `http://${instance}/metrics`,
      });
      await waitUntil('the targets are found', async () => (await targets()).length >= 4);
      expect(await targets()).toEqual([
        target('server', 'server-ipv6', '[2001:db8::1]:17001'),
        target('server', 'server', '192.0.2.1:17001'),
        target('server', 'server-with-sidecar', '192.0.2.2:17001'),
        target('webhook', 'webhook', '192.0.2.3:17002'),
      ]);
    } finally {
      await api.fetch('DELETE', `/api/v1/namespaces/${name}`);
    }
  },
  SLOW_MACHINE,
);
