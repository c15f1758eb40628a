import { expect, test } from 'bun:test';
import { startCluster } from '../../scripts/test-cluster/start-cluster.ts';
import { ClusterWorld } from './cluster-world.ts';

/** Of a DaemonSet and a Deployment. */
interface PodTemplate {
  readonly spec?: { readonly template: object };
}

test('Pod Security of what ships: the webhook fits "restricted", the server but for the host network', async () => {
  await using cluster = await startCluster({ mode: 'api' });
  await using world = await ClusterWorld.start(cluster);
  const values = { SERVER_IMAGE: 'none', PROJECT_ID: world.projectID, PROVIDER: 'none', GOOGLE: 'none' };
  const contentType = 'application/merge-patch+json';

  /** The violations that a Pod of the manifest's is refused for, or that it is admitted. */
  const admission = async (file: string, level: string) => {
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await world.api.text('PATCH', world.path, { contentType, body: { metadata: { labels } } });
    const manifests = await world.manifests(file, values);
    const { spec } = manifests.find(({ kind }) => kind !== 'Service') as PodTemplate; // our own files
    const body = { ...spec?.template, metadata: { name: 'shipped' } };
    const response = await world.api.fetch('POST', `${world.path}/pods?dryRun=All`, { body });
    // a Pod or a Status, told apart by the HTTP status
    const { message } = (await response.json()) as { message?: string };
    return response.ok ? 'admitted' : message?.replace(/^.*violates PodSecurity "\w+:latest": /, '');
  };

  expect(await admission('webhook.yaml', 'restricted')).toBe('admitted');
  expect(await admission('server.yaml', 'privileged')).toBe('admitted');
  const hostNetwork = 'host namespaces (hostNetwork=true)';
  expect(await admission('server.yaml', 'baseline')).toBe(hostNetwork);
  expect(await admission('server.yaml', 'restricted')).toBe(hostNetwork);
}, 180_000);
