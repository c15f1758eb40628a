import { pod } from '../../server/sandbox/kubernetes/objects.ts';

/** The API server as the webhook meets it: the Namespace and the Pod that our reviews are about, and nothing else. */
export interface WebhookKubernetes extends AsyncDisposable {
  /** The content of a kubeconfig. */
  readonly kubeconfig: string;
  /** As when the API server dies. */
  stop(): Promise<void>;
}

export const reviewedPod = pod({
  name: 'app',
  uid: 'app-uid',
  nodeName: 'sandbox-node',
  serviceAccountName: 'app',
  ips: ['192.0.2.7'],
});

export function startWebhookKubernetes(): WebhookKubernetes {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default', uid: 'default-uid' },
  };
  const listener = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    routes: {
      '/api/v1/namespaces/default': () => Response.json(namespace),
      '/api/v1/namespaces/default/pods/app': () => Response.json(reviewedPod),
    },
    fetch: () => new Response(null, { status: 404 }),
  });
  const named = { cluster: 'webhook', user: 'webhook' };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: named.cluster,
        cluster: { server: `${listener.url.origin}`, 'insecure-skip-tls-verify': true },
      },
    ],
    users: [{ name: named.user, user: {} }],
    contexts: [{ name: 'webhook', context: named }],
    'current-context': 'webhook',
  };
  return {
    kubeconfig: JSON.stringify(config),
    stop: () => listener.stop(true),
    [Symbol.asyncDispose]: () => listener.stop(true),
  };
}
