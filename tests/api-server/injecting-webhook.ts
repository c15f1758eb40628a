import type { AnyCluster } from '../../scripts/test-cluster/any-cluster.ts';
import { warningsOf } from '../../scripts/test-cluster/api-client.ts';
import { metric } from '../metrics.ts';
import { waitUntil } from '../wait-until.ts';
import { startWebhook, WebhookCertificate, type WebhookProcess } from '../webhook-process.ts';
import { ClusterWorld } from './cluster-world.ts';
import { Service } from './service.ts';

/** A Pod as the API server would store it, as far as the tests look at it. */
export interface CreatedPod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly initContainers?: readonly { readonly name: string }[];
    readonly containers: readonly {
      readonly name: string;
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
    }[];
  };
}

export interface Creation {
  readonly status: number;
  /** Of a refusal. */
  readonly message: string | undefined;
  /** What `kubectl` would print. */
  readonly warnings: readonly string[];
  readonly pod: CreatedPod;
}

/** A real API server that asks a real webhook about the Pods that opt in. */
export class InjectingWebhook implements AsyncDisposable {
  readonly #disposables: AsyncDisposableStack;

  private constructor(
    readonly world: ClusterWorld,
    readonly webhook: WebhookProcess,
    readonly certificate: WebhookCertificate,
    readonly service: Service,
    disposables: AsyncDisposableStack,
  ) {
    this.#disposables = disposables;
  }

  /** The webhook runs; the API server does not know of it before {@link register}. */
  static async start(cluster: AnyCluster, ...flags: string[]): Promise<InjectingWebhook> {
    await using disposables = new AsyncDisposableStack();
    const world = disposables.use(await ClusterWorld.start(cluster));
    const certificate = disposables.use(await WebhookCertificate.make());
    const { namespace } = world;
    const kubeconfig = await world.webhookKubeconfig();
    const webhook = disposables.use(await startWebhook({ namespace, kubeconfig }, certificate, ...flags));
    const service = disposables.use(await Service.start([webhook.port]));
    return new InjectingWebhook(world, webhook, certificate, service, disposables.move());
  }

  /** Resolves when the API server asks the webhook. */
  async register(): Promise<void> {
    const caBundle = await this.certificate.caBundle();
    await this.world.apply('pod-injection.yaml', { WEBHOOK_URL: this.service.url, CA_BUNDLE: caBundle });
    const namespace = await this.addNamespace();
    const labels = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
    await waitUntil('the webhook is asked', async () => {
      await this.create(namespace, { metadata: { name: 'probe', labels }, spec: { containers: [] } });
      return (await this.reviews()) > 0;
    });
  }

  /** A Namespace with the ServiceAccounts that Pods may run as, `default` among them; returns its name. */
  async addNamespace(
    metadata: {
      labels?: Readonly<Record<string, string>>;
      annotations?: Readonly<Record<string, string>>;
    } = {},
    serviceAccounts: readonly string[] = [],
  ): Promise<string> {
    const { api } = this.world;
    const name = `${this.world.namespace}-${crypto.randomUUID().slice(0, 8)}`;
    await api.text('POST', '/api/v1/namespaces', { body: { metadata: { ...metadata, name } } });
    this.#disposables.defer(async () => {
      await api.fetch('DELETE', `/api/v1/namespaces/${name}`);
    });
    // a cluster with controllers makes the first itself
    for (const account of new Set(['default', ...serviceAccounts])) {
      const path = `/api/v1/namespaces/${name}/serviceaccounts`;
      await api.fetch('POST', path, { body: { metadata: { name: account } } });
    }
    return name;
  }

  /** What becomes of a Pod that is created, which it is not: a dry run goes the whole way but into etcd. */
  async create(namespace: string, pod: unknown): Promise<Creation> {
    const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All&fieldValidation=Ignore`;
    const response = await this.world.api.fetch('POST', path, { body: pod });
    // a Pod or a Status, told apart by the HTTP status
    const body = (await response.json()) as CreatedPod & { message?: string };
    return {
      status: response.status,
      message: body.message,
      warnings: warningsOf(response),
      pod: body,
    };
  }

  /** How often the webhook was asked about a Pod. */
  reviews(): Promise<number> {
    const labels = { webhook: 'pods' };
    return metric(this.webhook.healthPort, 'gke_metadata_server_webhook_reviews_total', labels);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposables.disposeAsync();
  }
}
