import { expect, test } from 'bun:test';
import { startCluster } from '../cluster/start-cluster.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const LABEL = 'gke-metadata-server.matheuscscp.io/webhook';
const SYSTEM_NAMESPACE = 'kube-system';

test('with optIn: All every Pod is injected, but for system Namespaces, the own one and those that opt out', async () => {
  await using cluster = await startCluster({ mode: 'api', certManager: true });
  const settings = { flags: ['--opt-in=All'], values: { webhook: { optIn: 'All' } } };
  await using injecting = await InjectingWebhook.start(cluster, settings);
  await injecting.register();
  const { api, namespace: own } = injecting.world;
  // no controllers are here to make them
  for (const namespace of [SYSTEM_NAMESPACE, own]) {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await api.fetch('POST', path, { body: { metadata: { name: 'default' } } });
  }

  /** The init containers of a Pod that is created with these labels, and whether the webhook was asked about it. */
  const created = async (namespace: string, labels: Readonly<Record<string, string>> = {}, spec = {}) => {
    const before = await injecting.reviews();
    const { status, message, pod } = await injecting.create(namespace, {
      metadata: { name: 'app', labels },
      spec: { automountServiceAccountToken: false, containers: [{ name: 'main', image: 'none' }], ...spec },
    });
    expect([status, message]).toEqual([201, undefined]);
    const isAsked = (await injecting.reviews()) > before;
    return [isAsked ? 'asked' : 'not asked', ...(pod.spec.initContainers ?? []).map(({ name }) => name)];
  };

  const [plain, mutate, skipped] = await Promise.all([
    injecting.addNamespace(),
    injecting.addNamespace({ labels: { [LABEL]: 'Mutate' } }),
    injecting.addNamespace({ labels: { [LABEL]: 'Skip' } }),
  ]);
  const injected = ['asked', 'init-network'];
  expect({
    unlabelled: await created(plain),
    byPod: await created(plain, { [LABEL]: 'Mutate' }),
    byNamespace: await created(mutate),
    byPodAgainstItsNamespace: await created(skipped, { [LABEL]: 'Mutate' }),
  }).toEqual({
    unlabelled: injected,
    byPod: injected,
    byNamespace: injected,
    byPodAgainstItsNamespace: injected,
  });
  const alone = ['not asked'];
  expect({
    skippedByPod: await created(plain, { [LABEL]: 'Skip' }),
    skippedByNamespace: await created(skipped),
    excluded: await created(SYSTEM_NAMESPACE),
    excludedWhateverItSays: await created(SYSTEM_NAMESPACE, { [LABEL]: 'Mutate' }),
    own: await created(own),
    ownWhateverItSays: await created(own, { [LABEL]: 'Mutate' }),
  }).toEqual({
    skippedByPod: alone,
    skippedByNamespace: alone,
    excluded: alone,
    excludedWhateverItSays: alone,
    own: alone,
    ownWhateverItSays: alone,
  });
  expect(await created(plain, {}, { hostNetwork: true })).toEqual(['asked']);
}, 180_000);
