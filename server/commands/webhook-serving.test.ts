import { describe, expect, test } from 'bun:test';
import { type Effects, type Sleep, systemEffects } from '../core/effects.ts';
import type { WebhookSettings } from '../settings/webhook-settings.ts';
import type { Log } from '../telemetry/log.ts';
import { CertificateFolder, OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import { INJECTION_SETTINGS } from '../testing/injection-settings.ts';
import { startWebhook } from './webhook-serving.ts';

const UNTRUSTED = { tls: { rejectUnauthorized: false } };
const SERVER = { namespace: 'gms', name: 'gke-metadata-server' };
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

const OBJECTS: Record<string, object> = {
  '/api/v1/namespaces/shop': {
    metadata: { name: 'shop', labels: { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' } },
  },
  '/api/v1/namespaces/shop/pods/cart-1': {
    metadata: {
      namespace: 'shop',
      name: 'cart-1',
      uid: 'pod-uid',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { nodeName: 'node-a', serviceAccountName: 'cart' },
    status: { phase: 'Running' },
  },
};

/** An API server that has the objects above, and a count of what it was asked. */
function apiServer() {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      asked.push(`${request.method} ${pathname}`);
      const object = OBJECTS[pathname];
      if (object !== undefined) return Response.json(object);
      return Response.json({ kind: 'Status', code: 404, reason: 'NotFound', message: 'no' }, { status: 404 });
    },
  });
  return { asked, url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) };
}

function settings(certificateDirectory: string): WebhookSettings {
  return {
    webhookPort: 0,
    healthPort: 0,
    certificateDirectory,
    kubeconfig: undefined,
    injection: { ...INJECTION_SETTINGS, ownServiceAccounts: [SERVER] },
    serverServiceAccount: SERVER,
    defaultNodeServiceAccount: undefined,
    requiredAnnotations: new Map(),
    logLevel: 'info',
    logFormat: 'json',
  };
}

/** The pauses between two looks at the certificate end when told; the drain ends at once. */
function pauses() {
  const waiting: (() => void)[] = [];
  const sleep: Sleep = (milliseconds, signal) => {
    if (milliseconds === 5000 && signal === undefined) return Promise.resolve();
    if (milliseconds !== 10_000 || signal === undefined) return systemEffects.sleep(milliseconds, signal);
    return new Promise((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  return { effects: { ...systemEffects, sleep } satisfies Effects, look: () => waiting.splice(0) };
}

const review = (request: object) =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', operation: 'CREATE', namespace: 'shop', ...request },
  });

const podReview = review({
  resource: { group: '', version: 'v1', resource: 'pods' },
  object: { metadata: {}, spec: { containers: [{ name: 'app' }] } },
});

const tokenReview = (node: string) =>
  review({
    resource: { group: '', version: 'v1', resource: 'serviceaccounts' },
    subResource: 'token',
    name: 'cart',
    userInfo: {
      username: `system:serviceaccount:${SERVER.namespace}:${SERVER.name}`,
      extra: { 'authentication.kubernetes.io/node-name': [node] },
    },
    object: { spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'pod-uid' } } },
  });

describe.skipIf(OPENSSL_MISSING)(`webhook${OPENSSL_MISSING ? ' (not run: needs openssl)' : ''}`, () => {
  test('answers reviews over TLS by what the API server says, and shows its health', async () => {
    await using api = apiServer();
    await using folder = await CertificateFolder.mount(await selfSigned('first'));
    const cluster = { server: api.url, authenticate: async () => ({ headers: {}, tls: {} }) };
    const { effects } = pauses();
    const webhook = await startWebhook(settings(folder.path), { cluster, effects, log: silent });
    const post = async (path: string, body: string) => {
      const response = await fetch(`https://127.0.0.1:${webhook.webhookPort}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        ...UNTRUSTED,
      });
      return response.json();
    };
    expect(await post('/mutate/pods', podReview)).toMatchObject({
      response: { uid: 'u', allowed: true, patchType: 'JSONPatch' },
    });
    expect(await post('/validate/token-requests', tokenReview('node-a'))).toMatchObject({
      response: { uid: 'u', allowed: true },
    });
    expect(await post('/validate/token-requests', tokenReview('node-b'))).toMatchObject({
      response: { uid: 'u', allowed: false, status: { code: 403 } },
    });
    expect(api.asked).toEqual([
      'GET /api/v1/namespaces/shop',
      'GET /api/v1/namespaces/shop/pods/cart-1',
      'GET /api/v1/namespaces/shop/pods/cart-1',
    ]);
    const health = `http://127.0.0.1:${webhook.healthPort}`;
    expect((await fetch(`${health}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${health}/metrics`)).text();
    expect(metrics).toContain('reviews_total{webhook="pods",outcome="patched"} 1');
    expect(metrics).toContain('reviews_total{webhook="token-requests",outcome="refused"} 1');
    expect(metrics).toMatch(/certificate_expiration_timestamp_seconds \d{10}/);
    await webhook[Symbol.asyncDispose]();
    await expect(fetch(`${health}/healthz`)).rejects.toThrow();
  }, 30_000);

  test('serves a renewed certificate', async () => {
    await using folder = await CertificateFolder.mount(await selfSigned('first'));
    const second = await selfSigned('second');
    const cluster = { server: 'http://127.0.0.1:1', authenticate: async () => ({ headers: {}, tls: {} }) };
    const { effects, look } = pauses();
    const webhook = await startWebhook(settings(folder.path), { cluster, effects, log: silent });
    const url = `https://127.0.0.1:${webhook.webhookPort}/`;
    const trusting = (ca: string) => fetch(url, { keepalive: false, tls: { ca } });
    await expect(trusting(second.certificate)).rejects.toThrow();
    await folder.renew(second);
    for (const resolve of look()) resolve();
    while ((await trusting(second.certificate).catch(() => undefined)) === undefined) await Bun.sleep(1);
    await webhook[Symbol.asyncDispose]();
  }, 30_000);

  test('does not start without a certificate, and says what to do', async () => {
    const cluster = { server: 'http://127.0.0.1:1', authenticate: async () => ({ headers: {}, tls: {} }) };
    const starting = startWebhook(settings('/nowhere'), { cluster, effects: systemEffects, log: silent });
    await expect(starting).rejects.toMatchObject({
      code: 'setting-invalid',
      message: expect.stringContaining('/nowhere'),
      remedy: expect.stringContaining('cert-manager'),
    });
  });
});
