import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ModuleValues } from '../../scripts/module/render.ts';
import { applySets } from '../cluster/apply-sets.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { ModuleInstance } from '../module-instance.ts';
import { waitUntil } from '../wait-until.ts';

const longest = 180_000;
const VALUES = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
  settings: {
    projectID: 'example-project',
    workloadIdentityProvider:
      'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
  },
};
const AUDIENCE = `//iam.googleapis.com/${VALUES.settings.workloadIdentityProvider}`;
/** For the API server itself, and so worth most to a thief. */
const UNBOUND = { audiences: [], expirationSeconds: 36_000 };
/** As the policy allows: only the webhook knows that this Pod does not exist. */
const BOUND_TO_A_POD = {
  audiences: [AUDIENCE],
  expirationSeconds: 3600,
  boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'any', uid: crypto.randomUUID() },
};

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  const account = { metadata: { name: 'admin-like', namespace: 'kube-system' } };
  await cluster.api.text('POST', '/api/v1/namespaces/kube-system/serviceaccounts', { body: account });
}, longest);
afterAll(() => cluster?.stop());

/** What the API server answers to `kubectl create token admin-like --namespace kube-system --as SERVER`. */
async function tokenRequest(server: string, spec: object, group?: string) {
  const path = '/api/v1/namespaces/kube-system/serviceaccounts/admin-like/token';
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  const as = { user: server, ...(group !== undefined && { group }) };
  const response = await cluster.api.fetch('POST', path, { body, as });
  const { message } = (await response.json()) as { message?: string };
  return { status: response.status, message };
}

/** Applies one set more at a time, and waits until each kind of guard in it is in force, as a person would not notice. */
async function* installed(name: string, values: ModuleValues) {
  const module = await ModuleInstance.render({ ...VALUES, ...values }, { name, namespace: name });
  const server = `system:serviceaccount:${name}:${name}`;
  for (const [index, { name: set }] of module.sets.entries()) {
    const soFar = module.sets.slice(0, index + 1);
    await applySets(cluster.api, soFar, { name, namespace: name, hasNodes: false });
    if (set === 'policy') {
      // the API server looks for new policies once a second; with every right, nothing else refuses
      await waitUntil('the policy is in force', async () => {
        return (await tokenRequest(server, UNBOUND, 'system:masters')).status === 403;
      });
    }
    yield { set, server };
  }
}

describe.each([
  ['with the webhook', {}, ['policy', 'certificates', 'webhook', 'admission', 'server']],
  ['without the webhook', { webhook: { enabled: false } }, ['policy', 'server']],
] as const)('an installation that stops after any of its sets, %s', (_, values, expected) => {
  test(
    "gives nobody who has the server's rights a token for the API server",
    async () => {
      const sets: string[] = [];
      for await (const { set, server } of installed(`gms-${crypto.randomUUID().slice(0, 8)}`, values)) {
        sets.push(set);
        for (const group of [undefined, 'system:masters']) {
          expect([set, await tokenRequest(server, UNBOUND, group)]).toMatchObject([set, { status: 403 }]);
        }
      }
      expect(sets).toEqual([...expected]);
    },
    longest,
  );
});

test(
  'the API server asks the webhook about every token request before the server may make any',
  async () => {
    for await (const { set, server } of installed(`gms-${crypto.randomUUID().slice(0, 8)}`, {})) {
      const { status, message } = await tokenRequest(server, BOUND_TO_A_POD);
      if (set === 'server') {
        // there is no webhook: what it does not allow is refused
        expect(message).toContain(
          'failed calling webhook "token-requests.gke-metadata-server.matheuscscp.io"',
        );
      } else {
        expect([set, status, message]).toEqual([set, 403, expect.stringContaining('cannot create resource')]);
      }
    }
  },
  longest,
);
