import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { decodeJwt } from 'jose';
import { anyCluster } from '../cluster/any-cluster.ts';
import type { ApiClient } from '../cluster/api-client.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { processStates, readRecord } from '../cluster/cluster-state.ts';
import { startCluster } from '../cluster/start-cluster.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const longest = 120_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api' });
}, longest);
afterAll(() => cluster?.stop());

interface Named {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
}

test(
  'a token bound to a Pod names the Pod and its Node, both made by hand',
  async () => {
    await using any = await anyCluster({ mode: 'api' });
    const { api } = any;
    const namespace = `test-${crypto.randomUUID().slice(0, 8)}`;
    const inNamespace = `/api/v1/namespaces/${namespace}`;
    await api.json('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
    const node = await api.json<Named>('POST', '/api/v1/nodes', { body: { metadata: { name: namespace } } });
    await api.json('POST', `${inNamespace}/serviceaccounts`, { body: { metadata: { name: 'robot' } } });
    const pod = await api.json<Named>('POST', `${inNamespace}/pods`, {
      body: {
        metadata: { name: 'pod' },
        spec: {
          nodeName: namespace,
          serviceAccountName: 'robot',
          automountServiceAccountToken: false,
          containers: [{ name: 'main', image: 'none' }],
        },
      },
    });
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'pod', uid: pod.metadata.uid };
    const { status } = await api.json<{ status: { token: string } }>(
      'POST',
      `${inNamespace}/serviceaccounts/robot/token`,
      { body: { spec: { audiences: ['test'], boundObjectRef } } },
    );
    await api.json('DELETE', `/api/v1/nodes/${namespace}`);
    await api.json('DELETE', `/api/v1/namespaces/${namespace}`);

    expect(decodeJwt(status.token)).toMatchObject({
      aud: ['test'],
      sub: `system:serviceaccount:${namespace}:robot`,
      'kubernetes.io': {
        namespace,
        node: { name: namespace, uid: node.metadata.uid },
        pod: { name: 'pod', uid: pod.metadata.uid },
        serviceaccount: { name: 'robot' },
      },
    });
  },
  longest,
);

test(
  'what was stored is there after a restart; a watch from before it gets 410',
  async () => {
    const { api } = cluster;
    const old = await api.json<Named>('POST', configMaps, { body: { metadata: { name: 'old' } } });
    await api.json('POST', configMaps, { body: { metadata: { name: 'new' } } });
    await cluster.restartApiServer();

    expect((await api.json<Named>('GET', `${configMaps}/old`)).metadata.uid).toBe(old.metadata.uid);
    expect(await firstWatchEvent(api, old)).toMatchObject(expired);
  },
  longest,
);

test(
  'with no cache of its own, the API server answers a watch from before a compaction with 410',
  async () => {
    await using uncached = await startCluster({ mode: 'api', apiServerFlags: ['--watch-cache=false'] });
    const { api } = uncached;
    const old = await api.json<Named>('POST', configMaps, { body: { metadata: { name: 'old' } } });
    await api.json('POST', configMaps, { body: { metadata: { name: 'new' } } });
    // a compaction keeps the latest revision itself, which must not be the one that the watch begins with
    await api.json('POST', configMaps, { body: { metadata: { name: 'newer' } } });
    expect(await firstWatchEvent(api, old)).toMatchObject({
      type: 'ADDED',
      object: { metadata: { name: 'new' } },
    });

    await uncached.compactEtcd();
    expect(await firstWatchEvent(api, old)).toMatchObject(expired);
  },
  longest,
);

const expired = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } };

/** What a watch from the version of `after` sends first. */
async function firstWatchEvent(api: ApiClient, after: Named): Promise<unknown> {
  const aborter = new AbortController();
  const { signal } = aborter;
  const path = `${configMaps}?watch=1&resourceVersion=${after.metadata.resourceVersion}`;
  const response = await api.fetch('GET', path, { signal });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.includes('\n')) break;
  }
  aborter.abort();
  return JSON.parse(text.slice(0, text.indexOf('\n')));
}

test(
  'a second one beside it, of both IP families, shares nothing with it and leaves nothing behind',
  async () => {
    await using second = await startCluster({
      mode: 'api',
      dualStack: true,
      apiServerFlags: ['--watch-cache=false'],
    });
    const record = await readRecord(second.folder);
    expect(record && processStates(record)).toEqual({ etcd: true, 'kube-apiserver': true });
    await second.api.json('POST', configMaps, { body: { metadata: { name: 'of-the-second' } } });
    const service = await second.api.json<{ spec: { ipFamilies: string[] } }>(
      'POST',
      '/api/v1/namespaces/default/services',
      {
        body: {
          metadata: { name: 'both' },
          spec: { ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] },
        },
      },
    );
    expect(service.spec.ipFamilies).toEqual(['IPv4', 'IPv6']);
    expect((await cluster.api.fetch('GET', `${configMaps}/of-the-second`)).status).toBe(404);

    await second.stop();
    expect(record && processStates(record)).toEqual({ etcd: false, 'kube-apiserver': false });
    expect(existsSync(second.folder)).toBe(false);
  },
  longest,
);
