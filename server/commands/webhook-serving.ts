import { version } from '../../package.json';
import { AdmissionMetrics } from '../admission/admission-metrics.ts';
import { keepCertificateRenewed } from '../admission/certificate-renewal.ts';
import { LiveObjects } from '../admission/live-objects.ts';
import { type InjectionReader, mutatePod } from '../admission/pod-mutation.ts';
import { LARGEST_REVIEW } from '../admission/review.ts';
import { admissionRoutes } from '../admission/routes.ts';
import { guardTokenRequest } from '../admission/token-request-guard.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { type Certificate, readCertificate } from '../http/certificate.ts';
import { healthRoutes } from '../http/health.ts';
import { cannotListen } from '../http/listener.ts';
import { PlainListener } from '../http/plain-listener.ts';
import { TlsListener } from '../http/tls-listener.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { AdmissionRestClient } from '../kubernetes/client.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { WebhookSettings } from '../settings/webhook-settings.ts';
import { type Log, RepeatLimit } from '../telemetry/log.ts';

interface WebhookDependencies {
  readonly cluster: Cluster;
  readonly effects: Effects;
  readonly log: Log;
}

/** A webhook that listens; disposing of it drains it and ends everything it started. */
interface WebhookServing extends AsyncDisposable {
  /** The ports in use, also if the settings say 0 for any port. */
  readonly webhookPort: number;
  readonly healthPort: number;
}

/** Starts the webhook. Throws `setting-invalid` if it cannot listen on a port or read the certificate. */
export async function startWebhook(
  settings: WebhookSettings,
  { cluster, effects, log }: WebhookDependencies,
): Promise<WebhookServing> {
  const { certificateDirectory, injection } = settings;
  const metrics = new AdmissionMetrics(version);
  const limitedLog = new RepeatLimit(log, effects.now);
  const connectionRefused = (port: number) => (peer: string) =>
    limitedLog.warn(`connection ${port}`, { port, peer }, 'connection refused: too many are open');
  const client = new AdmissionRestClient(new ApiServer(cluster, effects));
  const namespaces = new LiveObjects(({ name }) => client.getNamespace(name), { remember: true });
  const serviceAccounts = new LiveObjects(
    ({ namespace = '', name }) => client.getServiceAccount(namespace, name),
    { remember: false },
  );
  const configMaps = new LiveObjects(({ namespace = '', name }) => client.getConfigMap(namespace, name), {
    remember: false,
  });
  const read: InjectionReader = {
    namespace: (name) => namespaces.get(name),
    serviceAccount: (name) => serviceAccounts.get(name),
    configMap: (name) => configMaps.get(name),
  };
  const routes = admissionRoutes({
    mutatePod: (request) => mutatePod(request, { settings: injection, read, random: effects.random }),
    guardTokenRequest: (request, signal) => guardTokenRequest(request, { ...settings, client }, signal),
    events: metrics,
    log,
    effects,
  });

  const certificate = await firstCertificate(certificateDirectory);
  metrics.certificateServed(certificate.notAfter);
  const listener = await started('--webhook-port', settings.webhookPort, () =>
    TlsListener.start(
      {
        port: settings.webhookPort,
        fetch: (request) => routes.fetch(request),
        largestBody: LARGEST_REVIEW,
        connectionRefused: connectionRefused(settings.webhookPort),
        effects,
      },
      certificate,
    ),
  );
  const ending = new AbortController();
  const missing = () => (ending.signal.aborted ? ['ending'] : []);
  const healthApp = healthRoutes({ metrics, missing });
  const health = await started('--health-port', settings.healthPort, () =>
    PlainListener.start({
      port: settings.healthPort,
      fetch: (request) => healthApp.fetch(request),
      connectionRefused: connectionRefused(settings.healthPort),
      effects,
    }),
  );
  const renewing = keepCertificateRenewed(
    certificate,
    {
      read: () => readCertificate(certificateDirectory),
      change: (renewed) => {
        listener.change(renewed);
        metrics.certificateServed(renewed.notAfter);
      },
      effects,
      log,
    },
    ending.signal,
  );
  const ports = { webhookPort: listener.port, healthPort: health.port };
  log.info({ version, ...ports }, 'listening');
  return {
    ...ports,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await renewing;
      await listener.stop();
      health.stop();
    },
  };
}

async function firstCertificate(directory: string): Promise<Certificate> {
  try {
    return await readCertificate(directory);
  } catch (error) {
    // only the message: a parser's error may hold what it parsed
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault('setting-invalid', `cannot read the certificate in ${directory}: ${reason}`, {
      remedy:
        'Mount the Secret of the cert-manager Certificate there, and check that it is issued (kubectl get certificate).',
    });
  }
}

async function started<T>(flag: string, port: number, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (cause) {
    throw cannotListen(port, flag, cause);
  }
}
