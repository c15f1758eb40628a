import { applyPatch } from 'rfc6902';
import type { InjectionKind } from '../admission/injection.ts';
import { mutatePod } from '../admission/pod-mutation.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import { webhookCommandOf, webhookSettings } from '../settings/webhook-settings.ts';
import { AWS_ACCOUNT_ID, PROJECT_ID } from './inhabitants.ts';
import type { SandboxWorld } from './sandbox-world.ts';

/** A Pod that asks for one kind of injection, as its users do. */
interface AskingPod {
  readonly kind: InjectionKind;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of its ServiceAccount. */
  readonly annotations?: Readonly<Record<string, string>>;
}

const ROLE = `arn:aws:iam::${AWS_ACCOUNT_ID}:role/reader`;
const ACCOUNT = `reader@${PROJECT_ID}.iam.gserviceaccount.com`;

const PODS: readonly AskingPod[] = [
  { kind: 'google', labels: { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' } },
  { kind: 'aws', annotations: { 'eks.amazonaws.com/role-arn': ROLE } },
  {
    kind: 'aws-pod-identity',
    annotations: { 'gke-metadata-server.matheuscscp.io/aws-pod-identity': 'true' },
  },
  {
    kind: 'azure',
    labels: { 'azure.workload.identity/use': 'true' },
    annotations: { 'azure.workload.identity/client-id': '8a9bacbd-cedf-40f1-a213-000000000001' },
  },
  {
    kind: 'google-to-aws',
    labels: { 'admission.token-injector/enabled': 'true' },
    annotations: { 'amazonaws.com/role-arn': ROLE, 'iam.gke.io/gcp-service-account': ACCOUNT },
  },
  { kind: 'external-account', annotations: { 'cloud.google.com/service-account-email': ACCOUNT } },
];

/**
 * What the webhook adds to a Pod of each kind, with all of them switched on: a line each, `KIND ANNOTATION → NAMES of the
 * variables and containers`.
 */
export async function webhookTour({ provider, azureTenantID }: SandboxWorld): Promise<readonly string[]> {
  const command = webhookCommandOf('webhook');
  // nothing of this process's environment
  for (const option of command.options) delete option.envVar;
  const kinds = ['aws', 'aws-pod-identity', 'azure', 'google-to-aws', 'external-account'];
  const { injection } = webhookSettings(
    command.parse(
      [
        '--namespace=gke-metadata-server',
        '--init-network-image=gke-metadata-server',
        '--host-ip=127.0.0.1',
        `--azure-tenant-id=${azureTenantID}`,
        `--external-account-provider=${provider}`,
        ...kinds.map((kind) => `--inject-${kind}=true`),
      ],
      { from: 'user' },
    ),
  );
  const lines: string[] = [];
  for (const { kind, labels = {}, annotations = {} } of PODS) {
    const serviceAccount: ServiceAccount = { namespace: 'default', name: 'app', uid: 'app', annotations };
    const object = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app', namespace: 'default', labels: { ...labels } },
      spec: { serviceAccountName: 'app', containers: [{ name: 'app', image: 'app' }] },
    };
    const read = {
      namespace: async () => ({ name: 'default', labels: {}, annotations: {} }),
      serviceAccount: async () => serviceAccount,
      configMap: async () => undefined,
    };
    const review = { operation: 'CREATE', resource: 'pods', namespace: 'default', name: 'app' };
    const response = await mutatePod(
      { ...review, uid: kind, username: 'sandbox', extra: new Map(), object },
      { settings: injection, read, random: () => 0 },
    );
    if (response.allowed) applyPatch(object, [...(response.patch ?? [])]);
    const [asked] = [...Object.keys(labels), ...Object.keys(annotations)];
    lines.push(`${kind.padEnd(18)}${asked} → ${response.allowed ? added(object) : response.message}`);
  }
  return lines;
}

/** The names of what a Pod has that it was not created with. */
function added({ spec }: { readonly spec: object }): string {
  // as the API server would have it after the patch
  const { containers, initContainers = [] } = spec as {
    readonly containers: readonly { readonly env?: readonly { readonly name: string }[] }[];
    readonly initContainers?: readonly { readonly name: string }[];
  };
  const variables = containers.flatMap(({ env = [] }) => env.map(({ name }) => name));
  const first = initContainers.map(({ name }) => `container ${name}`);
  return [...first, ...variables].join(', ');
}
