import { expect, test } from 'bun:test';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { node, pod, serviceAccount } from './kubernetes/objects.ts';
import { StandInKubernetes } from './stand-in-kubernetes.ts';

interface Body {
  readonly kind: string;
  readonly reason: string;
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

/** A body with those of the fields that the test then checks. */
async function json(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

const ON_NODE = 'fieldSelector=spec.nodeName%3Dnode-a';

test('lists what a field selector and a namespace match, with the version of the list', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(pod({ name: 'here', nodeName: 'node-a' }));
  kubernetes.put(pod({ name: 'there', nodeName: 'node-b' }));
  const last = kubernetes.put(pod({ name: 'other', namespace: 'other', nodeName: 'node-a' }));
  const list = async (path: string) => {
    const body = await json(await fetch(`${kubernetes.url}${path}`));
    const names = body.items.map((item) => item.metadata.name);
    return { kind: body.kind, version: body.metadata.resourceVersion, names };
  };
  const version = `${last.metadata.resourceVersion}`;
  expect(await list('/api/v1/pods')).toEqual({ kind: 'PodList', version, names: ['here', 'there', 'other'] });
  expect(await list(`/api/v1/pods?${ON_NODE}`)).toEqual({
    kind: 'PodList',
    version,
    names: ['here', 'other'],
  });
  expect(await list(`/api/v1/namespaces/default/pods?${ON_NODE}`)).toEqual({
    kind: 'PodList',
    version,
    names: ['here'],
  });
  expect(await list('/api/v1/pods?fieldSelector=spec.nodeName!%3Dnode-a,status.phase%3DRunning')).toEqual({
    kind: 'PodList',
    version,
    names: ['there'],
  });
});

test.each([
  ['/api/v1/pods?fieldSelector=spec.nodename%3Da', 400, 'field label not supported: spec.nodename'],
  ['/api/v1/nodes?fieldSelector=spec.nodeName%3Da', 400, 'field label not supported: spec.nodeName'],
  ['/api/v1/pods?fieldSelector=nonsense', 400, "invalid selector: 'nonsense'; can't understand 'nonsense'"],
  ['/api/v1/pods?labelSelector=a%3Db', 400, 'the stand-in does not support label selectors'],
  ['/api/v1/namespaces/default/serviceaccounts/none', 404, 'serviceaccounts "none" not found'],
  ['/api/v1/nodes/none', 404, 'nodes "none" not found'],
  ['/api/v1/secrets', 404, 'the server could not find the requested resource'],
  [
    '/api/v1/namespaces/default/serviceaccounts/default/token',
    405,
    'the server does not allow this method on the requested resource',
  ],
])('%s is refused with a Status', async (path, code, message) => {
  await using kubernetes = await new StandInKubernetes().start();
  const response = await fetch(`${kubernetes.url}${path}`);
  expect(response.status).toBe(code);
  expect(await response.json()).toMatchObject({ kind: 'Status', status: 'Failure', code, message });
});

test('requires its bearer token if it has one', async () => {
  await using kubernetes = await new StandInKubernetes({ bearerToken: 'right' }).start();
  const statusWith = async (headers: Record<string, string>) =>
    (await fetch(`${kubernetes.url}/api/v1/pods`, { headers })).status;
  expect([
    await statusWith({}),
    await statusWith({ authorization: 'Bearer wrong' }),
    await statusWith({ authorization: 'Bearer right' }),
  ]).toEqual([401, 401, 200]);
});

test('each resource fails on its own', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(node({ name: 'node-a' }));
  kubernetes.faults.pods.failWith(503);
  const pods = await fetch(`${kubernetes.url}/api/v1/pods`);
  expect([pods.status, (await json(pods)).reason]).toEqual([503, 'ServiceUnavailable']);
  expect((await fetch(`${kubernetes.url}/api/v1/nodes/node-a`)).status).toBe(200);
});

test('the journal records verb, resource, names, selector and status', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  await fetch(`${kubernetes.url}/api/v1/pods?${ON_NODE}`);
  await fetch(`${kubernetes.url}/api/v1/nodes?watch=true&resourceVersion=0`);
  await fetch(`${kubernetes.url}/api/v1/namespaces/ns/serviceaccounts/none`);
  await fetch(`${kubernetes.url}/apis`);
  expect(kubernetes.journal.calls).toMatchObject([
    { verb: 'list', resource: 'pods', fieldSelector: 'spec.nodeName=node-a', status: 200 },
    { verb: 'watch', resource: 'nodes', resourceVersion: '0', status: 200 },
    { verb: 'get', resource: 'serviceaccounts', namespace: 'ns', name: 'none', status: 404 },
    { verb: 'other', resource: 'other', name: '/apis', status: 404 },
  ]);
});

test('the official client understands it', async () => {
  await using kubernetes = await new StandInKubernetes().start();
  kubernetes.put(serviceAccount({ name: 'default' }));
  const stored = kubernetes.put(pod({ name: 'a', ips: ['10.0.0.1', 'fd00::1'] }));
  const config = new KubeConfig();
  // this client takes plain http only so
  config.loadFromClusterAndUser({ name: 'c', server: kubernetes.url, skipTLSVerify: true }, { name: 'u' });
  const api = config.makeApiClient(CoreV1Api);

  const listed = await api.listPodForAllNamespaces({ fieldSelector: 'metadata.name=a' });
  expect(
    listed.items.map((item) => [item.metadata?.uid, item.status?.podIPs, item.status?.startTime]),
  ).toEqual([
    [stored.metadata.uid, [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], new Date('2026-01-01T00:00:00Z')],
  ]);

  const created = await api.createNamespacedServiceAccountToken({
    namespace: 'default',
    name: 'default',
    body: {
      spec: {
        audiences: ['somebody'],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'a', uid: stored.metadata.uid },
      },
    },
  });
  expect(created.status?.token.split('.').length).toBe(3);
  expect(created.status?.expirationTimestamp).toBeInstanceOf(Date);

  await expect(
    api.readNamespacedServiceAccount({ namespace: 'default', name: 'none' }),
  ).rejects.toMatchObject({
    code: 404,
  });

  const seen: unknown[] = [];
  const done = Promise.withResolvers<unknown>();
  const version = listed.metadata?.resourceVersion;
  await new Watch(config).watch(
    '/api/v1/pods',
    { resourceVersion: version, allowWatchBookmarks: true },
    (type, object) => seen.push([type, object.metadata.name]),
    (error) => done.resolve(error),
  );
  kubernetes.delete(stored);
  kubernetes.endWatches();
  expect(await done.promise).toBeNull();
  expect(seen).toEqual([
    ['DELETED', 'a'],
    ['BOOKMARK', undefined],
  ]);
});
