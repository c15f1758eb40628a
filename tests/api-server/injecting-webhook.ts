import type { ModuleValues } from '../../scripts/module/render.ts';
import type { AnyCluster } from '../cluster/any-cluster.ts';
import { warningsOf } from '../cluster/api-client.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld } from './cluster-world.ts';
import { RegisteredWebhook } from './registered-webhook.ts';

/** A Pod as the API server would store it, as far as the tests look at it. */
interface CreatedPod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly status?: { readonly qosClass?: string };
  readonly spec: {
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly initContainers?: readonly { readonly name: string; readonly resources?: unknown }[];
    readonly containers: readonly {
      readonly name: string;
      readonly resources?: { readonly limits?: { readonly cpu?: string } };
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
      readonly volumeMounts?: readonly { readonly name: string }[];
    }[];
  };
}

interface ServiceAccountMetadata {
  readonly name: string;
  readonly annotations?: Readonly<Record<string, string>>;
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
    readonly webhook: RegisteredWebhook,
    disposables: AsyncDisposableStack,
  ) {
    this.#disposables = disposables;
  }

  /** The webhook runs; the API server does not ask it before {@link register}. The cluster must have cert-manager. */
  static async start(
    cluster: AnyCluster,
    { flags = [], values }: { flags?: readonly string[]; values?: ModuleValues } = {},
  ): Promise<InjectingWebhook> {
    await using disposables = new AsyncDisposableStack();
    const world = disposables.use(await ClusterWorld.start(cluster, values));
    const webhook = disposables.use(await RegisteredWebhook.start(world, { flags }));
    return new InjectingWebhook(world, webhook, disposables.move());
  }

  /** Resolves when the API server asks the webhook. */
  async register(): Promise<void> {
    await this.webhook.register('MutatingWebhookConfiguration');
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
    serviceAccounts: readonly ServiceAccountMetadata[] = [],
  ): Promise<string> {
    const { api } = this.world;
    const name = `${this.world.namespace}-${crypto.randomUUID().slice(0, 8)}`;
    await api.text('POST', '/api/v1/namespaces', { body: { metadata: { ...metadata, name } } });
    this.#disposables.defer(async () => {
      await api.fetch('DELETE', `/api/v1/namespaces/${name}`);
    });
    // a cluster with controllers makes the first itself
    const accounts = [...serviceAccounts, { name: 'default' }];
    for (const { name: account, annotations = {} } of accounts) {
      const path = `/api/v1/namespaces/${name}/serviceaccounts`;
      await api.fetch('POST', path, { body: { metadata: { name: account, annotations } } });
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
    return this.webhook.reviews('pods');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposables.disposeAsync();
  }
}
