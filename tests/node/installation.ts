import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import type { ApiClient } from '../../scripts/test-cluster/api-client.ts';
import { Cache } from '../../scripts/test-cluster/cache.ts';
import { makeCertificate } from '../../scripts/test-cluster/certificates.ts';
import { serverArchive, serverImage, toolsImage } from '../../scripts/test-cluster/images.ts';
import type { WorkloadIdentityProvider } from '../../server/settings/workload-identity-provider.ts';
import { applyManifest, type Manifest, readManifests } from '../api-server/manifests.ts';
import { waitUntil } from '../wait-until.ts';
import { INJECTED } from './pods.ts';

/** The Namespace of the server and the webhook. */
export const SYSTEM = 'gke-metadata-server';
/** Where the API server has the server's DaemonSet, and the webhook's Deployment. */
export const SERVER = `/apis/apps/v1/namespaces/${SYSTEM}/daemonsets/gke-metadata-server`;
const WEBHOOK = `/apis/apps/v1/namespaces/${SYSTEM}/deployments/gke-metadata-server-webhook`;
const WEBHOOK_SERVICE = 'gke-metadata-server-webhook';

export interface Product {
  readonly projectID: string;
  readonly provider: WorkloadIdentityProvider;
  readonly googleURL: string;
}

/** The image of the program as it is now, compiled as for a release. */
export async function serverImageArchive(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-compiled-'));
  try {
    const program = join(folder, 'gke-metadata-server');
    await compileServer(program);
    return await serverArchive(program, new Cache());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Puts everything in tests/manifests into the cluster; resolves when all of it is at work. */
export async function installProduct(api: ApiClient, product: Product): Promise<void> {
  const { certificate, key } = await webhookCertificate();
  const values = {
    NAMESPACE: SYSTEM,
    PROJECT_ID: product.projectID,
    PROVIDER: product.provider.name,
    AUDIENCE: product.provider.audience,
    GOOGLE: product.googleURL,
    SERVER_IMAGE: serverImage,
    CA_BUNDLE: btoa(certificate),
    // its path is what counts: see byService
    WEBHOOK_URL: 'https://webhook',
  };
  const apply = async (...files: readonly string[]) => {
    const manifests = await Promise.all(files.map((file) => readManifests(file, values)));
    for (const manifest of manifests.flat()) await applyManifest(api, byService(manifest));
  };
  await api.text('POST', '/api/v1/namespaces', { body: { metadata: { name: SYSTEM } } });
  await api.text('POST', `/api/v1/namespaces/${SYSTEM}/secrets`, {
    body: {
      metadata: { name: WEBHOOK_SERVICE },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': btoa(certificate), 'tls.key': btoa(key) },
    },
  });
  await apply(
    'server-rbac.yaml',
    'webhook-rbac.yaml',
    'token-request-policy.yaml',
    'node-identity-policy.yaml',
  );
  await apply('server.yaml', 'webhook.yaml');
  await Promise.all([serverAvailable(api), webhookAvailable(api)]);
  await apply('pod-injection.yaml', 'token-request-guard.yaml');
  await webhookAsked(api);
}

/** Where a manifest names the webhook by a URL, its Service is named instead: the Node's API server can reach it. */
function byService(manifest: Manifest): Manifest {
  const { webhooks } = manifest;
  if (!Array.isArray(webhooks)) return manifest;
  return {
    ...manifest,
    webhooks: webhooks.map((webhook) => {
      const { url, caBundle } = webhook.clientConfig;
      const service = { namespace: SYSTEM, name: WEBHOOK_SERVICE, path: new URL(url).pathname };
      return { ...webhook, clientConfig: { service, caBundle } };
    }),
  };
}

/** Resolves when the Node's server is ready. */
export async function serverAvailable(api: ApiClient): Promise<void> {
  await waitUntil('the server is available', async () => {
    const { status } = await api.json<{ status: { numberAvailable?: number } }>('GET', SERVER);
    return status.numberAvailable === 1;
  });
}

async function webhookAvailable(api: ApiClient): Promise<void> {
  await waitUntil('the webhook is available', async () => {
    const { status } = await api.json<{ status: { availableReplicas?: number } }>('GET', WEBHOOK);
    return status.availableReplicas === 2;
  });
}

/** The API server learns of a webhook configuration a moment after it is made. */
async function webhookAsked(api: ApiClient): Promise<void> {
  await waitUntil('the webhook is asked', async () => {
    const pod = await api.json<{ spec: { initContainers?: unknown[] } }>(
      'POST',
      '/api/v1/namespaces/default/pods?dryRun=All',
      {
        body: {
          metadata: { name: 'asks', labels: INJECTED },
          spec: { containers: [{ name: 'main', image: toolsImage }] },
        },
      },
    );
    return pod.spec.initContainers?.length === 1;
  });
}

/** A certificate for the webhook's Service that is its own authority, in PEM. */
async function webhookCertificate(): Promise<{ certificate: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-certificate-'));
  try {
    const path = join(folder, 'tls');
    const name = `DNS:${WEBHOOK_SERVICE}.${SYSTEM}.svc`;
    await makeCertificate(path, '/CN=webhook', ['extendedKeyUsage=serverAuth', `subjectAltName=${name}`]);
    return { certificate: await Bun.file(`${path}.crt`).text(), key: await Bun.file(`${path}.key`).text() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
