import type { Effects } from '../core/effects.ts';
import { GOOGLE_ACCOUNT_ANNOTATION } from '../google/google-account.ts';
import { principalOf, WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { node, pod, serviceAccount } from './kubernetes/objects.ts';
import { StandInGoogle } from './stand-in-google.ts';
import { StandInKubernetes } from './stand-in-kubernetes.ts';

/** A client in the sandbox that asks for tokens. */
export interface Inhabitant {
  readonly name: 'annotated' | 'direct' | 'denied' | 'node';
  /** What a person can expect of it. */
  readonly story: string;
  /** Connect from it to be this client: `curl --interface ADDRESS`. */
  readonly address: string;
  readonly namespace: string;
  readonly serviceAccountName: string;
  /** The Google account its ServiceAccount is annotated with. */
  readonly googleAccount: string | undefined;
}

const PROJECT_ID = 'sandbox-project';
const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool/providers/sandbox-cluster',
);
const NODE_NAME = 'sandbox-node';
const NODE_ANNOTATION = 'gke-metadata-server.matheuscscp.io';

const INHABITANTS: readonly Inhabitant[] = [
  {
    name: 'annotated',
    story: 'a Pod whose ServiceAccount is annotated with a Google account that it may use',
    address: '127.0.0.11',
    namespace: 'default',
    serviceAccountName: 'annotated',
    googleAccount: `reader@${PROJECT_ID}.iam.gserviceaccount.com`,
  },
  {
    name: 'direct',
    story: 'a Pod whose ServiceAccount has no annotation: direct resource access with the federated token',
    address: '127.0.0.12',
    namespace: 'default',
    serviceAccountName: 'direct',
    googleAccount: undefined,
  },
  {
    name: 'denied',
    story: 'a Pod whose ServiceAccount is annotated with a Google account that it may not use',
    address: '127.0.0.13',
    namespace: 'default',
    serviceAccountName: 'denied',
    googleAccount: `forbidden@${PROJECT_ID}.iam.gserviceaccount.com`,
  },
  {
    name: 'node',
    story: "a host-network Pod, or any process of the Node: the Node's ServiceAccount",
    address: '127.0.0.1',
    namespace: 'kube-system',
    serviceAccountName: 'node',
    googleAccount: `node@${PROJECT_ID}.iam.gserviceaccount.com`,
  },
];

/** A cluster of one Node and a Google that trusts it, for the demo and for tests of whole programs. */
export interface SandboxWorld extends AsyncDisposable {
  readonly kubernetes: StandInKubernetes;
  readonly google: StandInGoogle;
  readonly inhabitants: readonly Inhabitant[];
  readonly nodeName: string;
  readonly projectID: string;
  readonly provider: WorkloadIdentityProvider;
  /** The content of a kubeconfig file for the stand-in API server. */
  readonly kubeconfig: string;
}

/** Starts both stand-ins on ports of their own and fills them. Disposing of the world stops them. */
export async function startSandboxWorld(effects?: Pick<Effects, 'now' | 'sleep'>): Promise<SandboxWorld> {
  const options = effects === undefined ? {} : { effects };
  const kubernetes = await new StandInKubernetes(options).start();
  const google = await new StandInGoogle(options).start();
  google.addProvider({ provider: PROVIDER, issuer: kubernetes.issuer, jwks: kubernetes.jwks });
  settle(kubernetes, google);
  return {
    kubernetes,
    google,
    inhabitants: INHABITANTS,
    nodeName: NODE_NAME,
    projectID: PROJECT_ID,
    provider: PROVIDER,
    kubeconfig: kubeconfig(kubernetes.url),
    async [Symbol.asyncDispose]() {
      await google[Symbol.asyncDispose]();
      await kubernetes[Symbol.asyncDispose]();
    },
  };
}

function settle(kubernetes: StandInKubernetes, google: StandInGoogle): void {
  for (const inhabitant of INHABITANTS) {
    const { name, address, namespace, serviceAccountName, googleAccount } = inhabitant;
    kubernetes.put(
      serviceAccount({
        name: serviceAccountName,
        namespace,
        ...(googleAccount !== undefined && { annotations: { [GOOGLE_ACCOUNT_ANNOTATION]: googleAccount } }),
      }),
    );
    kubernetes.put(
      pod({
        name,
        namespace,
        serviceAccountName,
        nodeName: NODE_NAME,
        ips: [address],
        hostNetwork: name === 'node',
      }),
    );
    if (googleAccount === undefined) continue;
    google.serviceAccounts.add(googleAccount);
    if (name === 'denied') continue;
    google.serviceAccounts.bind(
      googleAccount,
      'roles/iam.workloadIdentityUser',
      principalOf({ namespace, name: serviceAccountName }, PROVIDER),
    );
  }
  kubernetes.put(
    node({
      name: NODE_NAME,
      ips: ['127.0.0.1'],
      labels: {
        'topology.kubernetes.io/region': 'europe-west1',
        'topology.kubernetes.io/zone': 'europe-west1-b',
      },
      annotations: {
        [`${NODE_ANNOTATION}/serviceAccountName`]: 'node',
        [`${NODE_ANNOTATION}/serviceAccountNamespace`]: 'kube-system',
      },
    }),
  );
}

/** JSON is YAML; client libraries accept plain http only if told not to verify TLS. */
function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'sandbox', user: {} }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'sandbox' } }],
    'current-context': 'sandbox',
  });
}

/** The settings of `serve` on the Node of this world: the defaults, except for `overrides`, and any free ports. */
export function sandboxSettings(
  { nodeName, projectID, provider, google }: SandboxWorld,
  overrides: Partial<ServeSettings> = {},
): ServeSettings {
  return {
    nodeName,
    projectID,
    workloadIdentityProvider: provider,
    serverPort: 0,
    healthPort: 0,
    kubeconfig: undefined,
    defaultNodeServiceAccount: undefined,
    cacheTokens: true,
    cacheTokensPerPod: false,
    cacheMaxTokenDurationSeconds: 3600,
    podExchangesPerMinute: 60,
    nodeExchangesPerMinute: 600,
    googleStsEndpoint: google.url,
    googleIamCredentialsEndpoint: google.url,
    universeDomain: 'googleapis.com',
    clusterName: 'sandbox',
    clusterLocation: '',
    logLevel: 'info',
    logFormat: 'json',
    ...overrides,
  };
}
