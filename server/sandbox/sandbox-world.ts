import type { Effects } from '../core/effects.ts';
import { GOOGLE_ACCOUNT_ANNOTATION } from '../google/google-account.ts';
import { WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { AWS_ACCOUNT_ID, INHABITANTS, type Inhabitant, PROJECT_ID } from './inhabitants.ts';
import { node, pod, serviceAccount } from './kubernetes/objects.ts';
import type { TlsIdentity } from './listener.ts';
import { StandInAws } from './stand-in-aws.ts';
import { StandInEntra } from './stand-in-entra.ts';
import { StandInGoogle } from './stand-in-google.ts';
import { StandInKubernetes } from './stand-in-kubernetes.ts';
import { trustInAws, trustInEntra, trustInGoogle } from './trust.ts';

const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool/providers/sandbox-cluster',
);
const AZURE_TENANT_ID = '0f1e2d3c-4b5a-4697-8877-665544332211';
const AWS_ROLE_ANNOTATIONS = ['eks.amazonaws.com/role-arn', 'amazonaws.com/role-arn'];
const AZURE_CLIENT_ANNOTATION = 'azure.workload.identity/client-id';
const NODE_NAME = 'sandbox-node';
const NODE_ANNOTATION = 'gke-metadata-server.matheuscscp.io';

/** A cluster of one Node and clouds that trust it, for the demo and for tests of whole programs. */
export interface SandboxWorld extends AsyncDisposable {
  readonly kubernetes: StandInKubernetes;
  readonly google: StandInGoogle;
  readonly aws: StandInAws;
  readonly entra: StandInEntra;
  readonly awsAccountID: string;
  readonly azureTenantID: string;
  readonly inhabitants: readonly Inhabitant[];
  readonly nodeName: string;
  readonly projectID: string;
  readonly provider: WorkloadIdentityProvider;
  /** The content of a kubeconfig file for the stand-in API server. */
  readonly kubeconfig: string;
}

interface SandboxOptions {
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
  /** Where AWS and Entra listen; this machine only by default. */
  readonly hostname?: string;
  /** What AWS and Entra show for https; by default they speak plain http. */
  readonly tls?: TlsIdentity;
}

/** Starts the stand-ins on ports of their own and fills them. Disposing of the world stops them. */
export async function startSandboxWorld(options: SandboxOptions = {}): Promise<SandboxWorld> {
  const { tls, hostname, ...effects } = options;
  await using stack = new AsyncDisposableStack();
  const kubernetes = stack.use(await new StandInKubernetes(effects).start());
  const google = stack.use(await new StandInGoogle(effects).start());
  const aws = stack.use(await new StandInAws(options).start());
  const entra = stack.use(await new StandInEntra(options).start());
  settle(kubernetes);
  trustInGoogle(google, kubernetes, PROVIDER);
  trustInAws(aws, kubernetes, google);
  trustInEntra(entra, kubernetes, AZURE_TENANT_ID);
  const owned = stack.move();
  return {
    kubernetes,
    google,
    aws,
    entra,
    awsAccountID: AWS_ACCOUNT_ID,
    azureTenantID: AZURE_TENANT_ID,
    inhabitants: INHABITANTS,
    nodeName: NODE_NAME,
    projectID: PROJECT_ID,
    provider: PROVIDER,
    kubeconfig: kubeconfig(kubernetes.url),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function annotationsOf({ googleAccount, awsRole, azureClientID }: Inhabitant): Record<string, string> {
  return {
    ...(googleAccount !== undefined && { [GOOGLE_ACCOUNT_ANNOTATION]: googleAccount }),
    ...(awsRole !== undefined && Object.fromEntries(AWS_ROLE_ANNOTATIONS.map((key) => [key, awsRole]))),
    ...(azureClientID !== undefined && { [AZURE_CLIENT_ANNOTATION]: azureClientID }),
  };
}

function settle(kubernetes: StandInKubernetes): void {
  for (const inhabitant of INHABITANTS) {
    const { name, address, namespace, serviceAccountName } = inhabitant;
    const annotations = annotationsOf(inhabitant);
    kubernetes.put(serviceAccount({ name: serviceAccountName, namespace, annotations }));
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
  { nodeName, projectID, provider, google, aws, entra, azureTenantID }: SandboxWorld,
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
    aws: {
      sts: { url: aws.url, region: 'eu-central-1' },
      region: 'eu-central-1',
      audience: 'sts.amazonaws.com',
      accountID: undefined,
      partition: 'aws',
      podIdentityAudience: 'pods.eks.amazonaws.com',
      sessionSeconds: 3600,
      allowVersion1: false,
    },
    azure: { authorityHost: entra.url, tenantID: azureTenantID, audience: 'api://AzureADTokenExchange' },
    logLevel: 'info',
    logFormat: 'json',
    ...overrides,
  };
}
