import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { ApiClient } from '../cluster/api-client.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld } from './cluster-world.ts';

const NAME = 'gke-metadata-server.matheuscscp.io/serviceAccountName';
const NAMESPACE = 'gke-metadata-server.matheuscscp.io/serviceAccountNamespace';
const WORDS = 'a Node may not choose the ServiceAccount of its own host-network Pods';

test('with the policy a Node cannot choose who its host-network Pods are; all else of it stays its own', async () => {
  await using cluster = await startCluster({ mode: 'api' });
  await using world = await ClusterWorld.start(cluster);
  const kubelet = new ApiClient(join(cluster.folder, 'node/kubelet.kubeconfig'));
  const nodes = '/api/v1/nodes';
  const name = await nodeOf(kubelet);
  const send = async (api: ApiClient, metadata: object, subresource = '') => {
    const contentType = 'application/merge-patch+json';
    const path = `${nodes}/${name}${subresource}`;
    const response = await api.fetch('PATCH', path, { contentType, body: { metadata } });
    // a Node or a Status, told apart by the HTTP status
    const { message } = (await response.json()) as { message?: string };
    return response.ok ? 'changed' : message;
  };
  const patch = (metadata: object, subresource?: string) => send(kubelet, metadata, subresource);
  const refused = expect.stringContaining(WORDS);

  await kubelet.text('POST', nodes, { body: { metadata: { name } } });
  // what the policy is for
  expect(await patch({ annotations: { [NAME]: 'admin', [NAMESPACE]: 'kube-system' } })).toBe('changed');
  const kinds = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
  await world.apply(...world.module.objects('node-identity', ...kinds));
  await waitUntil('the policy is in force', async () => {
    const answer = await patch({ annotations: { [NAME]: crypto.randomUUID() } });
    return answer?.includes(WORDS);
  });

  for (const key of [NAME, NAMESPACE]) {
    for (const value of ['other', null]) {
      expect(await patch({ annotations: { [key]: value } })).toEqual(refused);
    }
    expect(await patch({ labels: { [key]: 'other' } })).toEqual(refused);
    expect(await patch({ annotations: { [key]: 'other' } }, '/status')).toEqual(refused);
  }
  expect(await patch({ annotations: { anything: 'else' } })).toBe('changed');
  expect(await send(world.api, { annotations: { [NAME]: 'node', [NAMESPACE]: 'default' } })).toBe('changed');
  expect(await patch({ annotations: { anything: 'again' } })).toBe('changed');

  await world.api.text('DELETE', `${nodes}/${name}`);
  const registration = { metadata: { name, annotations: { [NAME]: 'admin', [NAMESPACE]: 'kube-system' } } };
  const registered = await kubelet.fetch('POST', nodes, { body: registration });
  expect(await registered.json()).toMatchObject({ code: 403, message: refused });
  expect((await kubelet.fetch('POST', nodes, { body: { metadata: { name } } })).status).toBe(201);
}, 180_000);

/** The Node that a kubelet speaks for. */
async function nodeOf(kubelet: ApiClient): Promise<string> {
  const { status } = await kubelet.json<{ status: { userInfo: { username: string } } }>(
    'POST',
    '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' } },
  );
  return status.userInfo.username.replace(/^system:node:/, '');
}
