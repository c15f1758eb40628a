import { expect, test } from 'bun:test';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { ClusterWorld } from './cluster-world.ts';

test('Pod Security of what ships: "restricted" takes all of it, the server but for the host network', async () => {
  await using cluster = await startCluster({ mode: 'api' });
  await using world = await ClusterWorld.start(cluster);
  const { api, module } = world;
  await world.apply(...module.objects('test', 'ServiceAccount'));

  /** The violations that a Pod of the object's template is refused for, or that it is admitted. */
  const admission = async ({ metadata, spec }: KubernetesObject, level: string) => {
    const namespace = `/api/v1/namespaces/${metadata.namespace}`;
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    const contentType = 'application/merge-patch+json';
    await api.text('PATCH', namespace, { contentType, body: { metadata: { labels } } });
    const { template } = spec as { template: { metadata: object } }; // as all three kinds have it
    const body = { ...template, metadata: { ...template.metadata, name: 'shipped' } };
    const response = await api.fetch('POST', `${namespace}/pods?dryRun=All`, { body });
    // a Pod or a Status, told apart by the HTTP status
    const { message } = (await response.json()) as { message?: string };
    return response.ok ? 'admitted' : message?.replace(/^.*violates PodSecurity "\w+:latest": /, '');
  };

  expect(await admission(module.object('Deployment', 'webhook'), 'restricted')).toBe('admitted');
  // with no webhook to inject it, of which each mode takes another level
  expect(await admission(module.object('Job', 'test'), 'restricted')).toBe('admitted');
  const server = module.object('DaemonSet', '');
  expect(await admission(server, 'privileged')).toBe('admitted');
  const hostNetwork = 'host namespaces (hostNetwork=true)';
  expect(await admission(server, 'baseline')).toBe(hostNetwork);
  expect(await admission(server, 'restricted')).toBe(hostNetwork);
}, 180_000);
