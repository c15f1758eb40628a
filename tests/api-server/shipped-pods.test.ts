import { expect, test } from 'bun:test';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { startCluster } from '../../scripts/test-cluster/start-cluster.ts';
import { ClusterWorld } from './cluster-world.ts';

test('Pod Security of what ships: the webhook fits "restricted", the server but for the host network', async () => {
  await using cluster = await startCluster({ mode: 'api' });
  await using world = await ClusterWorld.start(cluster);
  const contentType = 'application/merge-patch+json';

  /** The violations that a Pod of the DaemonSet's or Deployment's is refused for, or that it is admitted. */
  const admission = async ({ spec }: KubernetesObject, level: string) => {
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await world.api.text('PATCH', world.path, { contentType, body: { metadata: { labels } } });
    const { template } = spec as { template: object }; // as both have it
    const body = { ...template, metadata: { name: 'shipped' } };
    const response = await world.api.fetch('POST', `${world.path}/pods?dryRun=All`, { body });
    // a Pod or a Status, told apart by the HTTP status
    const { message } = (await response.json()) as { message?: string };
    return response.ok ? 'admitted' : message?.replace(/^.*violates PodSecurity "\w+:latest": /, '');
  };

  const [webhook, server] = [
    world.module.object('Deployment', 'webhook'),
    world.module.object('DaemonSet', ''),
  ];
  expect(await admission(webhook, 'restricted')).toBe('admitted');
  expect(await admission(server, 'privileged')).toBe('admitted');
  const hostNetwork = 'host namespaces (hostNetwork=true)';
  expect(await admission(server, 'baseline')).toBe(hostNetwork);
  expect(await admission(server, 'restricted')).toBe(hostNetwork);
}, 180_000);
