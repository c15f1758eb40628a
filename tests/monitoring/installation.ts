import type { ModuleRenderer } from '../../scripts/module/render.ts';
import { ask } from '../../server/sandbox/ask.ts';
import { type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import { startWebhook, WebhookCertificate, type WebhookProcess } from '../webhook-process.ts';
import { podReview, tokenRequestReview } from './admission-reviews.ts';
import { type DiscoveredPod, podMonitor, scrapeConfig } from './pod-monitor.ts';
import { type MonitoringTools, Prometheus } from './prometheus.ts';
import { instance, type Monitoring, renderMonitoring } from './rendered.ts';
import { reviewedPod, startWebhookKubernetes, type WebhookKubernetes } from './webhook-kubernetes.ts';

const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const SCRAPE_SECONDS = 1;

/** A server that is scraped. */
export interface ScrapedServer extends AsyncDisposable {
  readonly port: number;
  readonly healthPort: number;
}

export interface InstallationOptions {
  readonly tools: MonitoringTools;
  readonly renderer: ModuleRenderer;
  /** By default `serve` as a process of its own. */
  readonly startServer?: (world: SandboxWorld) => Promise<ScrapedServer>;
  /** The Pods that Prometheus discovers; by default one of each component. */
  readonly discovers?: readonly ('server' | 'webhook')[];
  /** The folder of the webhook's certificate; by default a good one is made. */
  readonly certificateDirectory?: string;
}

/**
 * What the module installs, with a Prometheus that scrapes it by the module's PodMonitors and evaluates its alerts
 * every second. Server and webhook have each a Kubernetes of their own, so that a fault of one does not affect the other.
 */
export class Installation implements AsyncDisposable {
  readonly #disposables: AsyncDisposableStack;

  private constructor(
    /** Kubernetes and Google as the server meets them. */
    readonly world: SandboxWorld,
    /** Kubernetes as the webhook meets it. */
    readonly webhookKubernetes: WebhookKubernetes,
    readonly server: ScrapedServer,
    readonly webhook: WebhookProcess,
    readonly monitoring: Monitoring,
    readonly prometheus: Prometheus,
    private readonly authority: string,
    disposables: AsyncDisposableStack,
  ) {
    this.#disposables = disposables;
  }

  /** Resolves when all of it is ready, and has been scraped. */
  static async start({
    tools,
    renderer,
    // a test asks for more new tokens in a minute than a Pod may
    startServer = (of) => startServe(of, '--pod-exchanges-per-minute', '1000000'),
    discovers = ['server', 'webhook'],
    certificateDirectory,
  }: InstallationOptions): Promise<Installation> {
    await using disposables = new AsyncDisposableStack();
    const world = disposables.use(await startSandboxWorld());
    const webhookKubernetes = disposables.use(startWebhookKubernetes());
    const server = disposables.use(await startServer(world));
    const certificate = disposables.use(await WebhookCertificate.make());
    const flags = certificateDirectory === undefined ? [] : ['--certificate-directory', certificateDirectory];
    const { namespace } = instance;
    const { kubeconfig } = webhookKubernetes;
    const webhook = disposables.use(await startWebhook({ namespace, kubeconfig }, certificate, ...flags));
    const ports = { server: server.healthPort, webhook: webhook.healthPort };
    const monitoring = await renderMonitoring(renderer, {
      settings: { healthPort: ports.server },
      webhook: { healthPort: ports.webhook },
    });
    const prometheus = disposables.use(
      await Prometheus.start(tools, {
        interval: SCRAPE_SECONDS,
        scrapeConfigs: discovers.map((component) =>
          scrapeConfig(podMonitor(monitoring.objects, `${instance.name}-${component}`), [
            discovered(component, world.nodeName),
          ]),
        ),
        ruleGroups: monitoring.groups.map((group) => ({ ...group, rules: group.rules.map(immediate) })),
      }),
    );
    // before that alerts of what is missing fire, and Prometheus takes 5 s to look for its targets
    await waitUntil('everything is scraped', async () => {
      const scraped = await prometheus.query('up == 1');
      return scraped.length === discovers.length;
    });
    const authority = await certificate.authority();
    return new Installation(
      world,
      webhookKubernetes,
      server,
      webhook,
      monitoring,
      prometheus,
      authority,
      disposables.move(),
    );
  }

  /** What Pods ask on a good day, and what the API server asks of the webhook. */
  async use(): Promise<void> {
    const { server } = this;
    const served = ['127.0.0.11', '127.0.0.12', '127.0.0.1'].flatMap((address) =>
      [`${ACCOUNT}/token`, `${ACCOUNT}/identity?audience=api`, `${ACCOUNT}/email`].map((path) =>
        ask(address, server.port, path),
      ),
    );
    const reviewed = [this.reviewPod(), this.reviewTokenRequest(reviewedPod.spec.nodeName)];
    await Promise.all([...served, ...reviewed]);
  }

  /** Requests an uncached token from `address`; returns the status. */
  async askForNewToken(address: string): Promise<number> {
    const scope = `https://www.googleapis.com/auth/${crypto.randomUUID()}`;
    return (await ask(address, this.server.port, `${ACCOUNT}/token?scopes=${scope}`)).status;
  }

  /** Likewise an ID token. */
  async askForNewIdToken(address: string): Promise<number> {
    return (await ask(address, this.server.port, `${ACCOUNT}/identity?audience=${crypto.randomUUID()}`))
      .status;
  }

  /** The review of a Pod that opts in, with the mode by its annotation, if any. */
  reviewPod(mode?: string): Promise<unknown> {
    return this.#review('mutate/pods', podReview(mode));
  }

  /** The review of a token request by the server of `nodeName`; by one without a Node if that is undefined. */
  reviewTokenRequest(nodeName: string | undefined): Promise<unknown> {
    return this.#review('validate/token-requests', tokenRequestReview(nodeName));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposables.disposeAsync();
  }

  async #review(path: string, review: object): Promise<unknown> {
    const response = await fetch(`https://127.0.0.1:${this.webhook.port}/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(review),
      tls: { ca: this.authority },
    });
    return response.json();
  }
}

function discovered(component: 'server' | 'webhook', nodeName: string): DiscoveredPod {
  return {
    namespace: instance.namespace,
    name: component === 'server' ? `${instance.name}-7kq2x` : `${instance.name}-webhook-5d8f-n4vlz`,
    ip: '127.0.0.1',
    nodeName,
    container: component,
    labels: { 'app.kubernetes.io/name': instance.name, 'app.kubernetes.io/component': component },
  };
}

/** The rule without the time that it waits: that alerts wait so long is what promtool's tests are for. */
function immediate(rule: object): object {
  return { ...rule, for: '0s' };
}
