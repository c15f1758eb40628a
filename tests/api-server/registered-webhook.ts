import { containerFlags } from '../container-flags.ts';
import { metric } from '../metrics.ts';
import type { ModuleInstance } from '../module-instance.ts';
import { waitUntil } from '../wait-until.ts';
import { startWebhook, type WebhookProcess } from '../webhook-process.ts';
import type { ClusterWorld } from './cluster-world.ts';
import { IssuedCertificate } from './issued-certificate.ts';
import { ServiceProxy } from './service-proxy.ts';

/** The webhook of a world, its replicas processes of their own, behind the Service of the module. */
export class RegisteredWebhook implements AsyncDisposable {
  readonly #disposables: AsyncDisposableStack;

  private constructor(
    private readonly world: ClusterWorld,
    readonly certificate: IssuedCertificate,
    readonly replicas: readonly WebhookProcess[],
    readonly service: ServiceProxy,
    disposables: AsyncDisposableStack,
  ) {
    this.#disposables = disposables;
  }

  /** The replicas run and the Service leads to them; the API server asks them nothing before {@link register}. */
  static async start(
    world: ClusterWorld,
    { count = 1, flags = [] as readonly string[] } = {},
  ): Promise<RegisteredWebhook> {
    await using disposables = new AsyncDisposableStack();
    const certificate = disposables.use(await IssuedCertificate.issue(world));
    const { namespace, module } = world;
    const kubeconfig = await world.webhookKubeconfig();
    const accounts = {
      '--server-service-account-name': module.serverAccount,
      '--webhook-service-account-name': module.webhookAccount,
    };
    const all = [...Object.entries(accounts).flat(), ...identityFlags(module), ...flags];
    const replicas: WebhookProcess[] = [];
    while (replicas.length < count) {
      replicas.push(disposables.use(await startWebhook({ namespace, kubeconfig }, certificate, ...all)));
    }
    const service = disposables.use(await ServiceProxy.start(replicas.map(({ port }) => port)));
    await world.apply(module.object('Service', 'webhook'), endpointsOf(world, service));
    return new RegisteredWebhook(world, certificate, replicas, service, disposables.move());
  }

  /** The first replica. */
  get only(): WebhookProcess {
    const [first] = this.replicas;
    if (first === undefined) throw new Error('the webhook has no replica');
    return first;
  }

  /** Applies the module's configuration of this kind; resolves when cert-manager has put the authority into it. */
  async register(kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration'): Promise<void> {
    const configuration = this.world.module.object(kind);
    await this.world.apply(configuration);
    await waitUntil('the authority is injected', async () => {
      const { webhooks } = await this.world.read<WebhookConfiguration>(configuration);
      return webhooks.every(({ clientConfig }) => clientConfig.caBundle !== undefined);
    });
  }

  /** How often the webhook was asked, by the name of its metric's label. */
  async reviews(webhook: 'pods' | 'token-requests'): Promise<number> {
    const counts = this.replicas.map(({ healthPort }) =>
      metric(healthPort, 'gke_metadata_server_webhook_reviews_total', { webhook }),
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposables.disposeAsync();
  }
}

interface WebhookConfiguration {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

/** The cloud identities of the module's own webhook, with their settings. */
function identityFlags(module: ModuleInstance): readonly string[] {
  const others = /^--inject-host-network=/;
  const identities = /^--(inject|aws|azure|external-account|google|universe)-/;
  return containerFlags(module.object('Deployment', 'webhook')).filter(
    (flag) => identities.test(flag) && !others.test(flag),
  );
}

/** What the controllers of a whole cluster make of a Service and its Pods. */
function endpointsOf({ module, namespace }: ClusterWorld, { endpoint }: ServiceProxy) {
  const { name } = module.object('Service', 'webhook').metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [endpoint.address], conditions: { ready: true } }],
    ports: [{ name: 'webhook', port: endpoint.port, protocol: 'TCP' }],
  };
}
