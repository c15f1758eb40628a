import { version } from '../../package.json';
import { RoleCredentials } from '../aws/role-credentials.ts';
import { AzureTokens } from '../azure/azure-tokens.ts';
import { NodeCallers } from '../caller/callers.ts';
import { type Effects, systemEffects } from '../core/effects.ts';
import { ExchangeLimits } from '../credentials/exchange-limits.ts';
import { nodeStatus, statusSocketOf } from '../explain/node-status.ts';
import { GoogleTokens } from '../google/google-tokens.ts';
import { healthRoutes } from '../http/health.ts';
import { type App, cannotListen, drain, listen, requireOwnPort } from '../http/listener.ts';
import { servePrivately } from '../http/private-socket.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { type Cluster, instanceName, loadCluster, nodeSecret } from '../kubernetes/cluster.ts';
import { KeyRotation, readClusterKeys, readVerificationKeys } from '../kubernetes/cluster-keys.ts';
import { PodTokens } from '../kubernetes/pod-tokens.ts';
import { warnOfLocation } from '../metadata/facts.ts';
import { metadataRoutes, socketPeer } from '../metadata/routes.ts';
import { cloudAnnotations } from '../settings/cloud-annotations.ts';
import { type ServeSettings, serveCommandOf, serveSettings } from '../settings/serve-settings.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { ended, standardOutput } from './process.ts';

/** `serve`: the metadata API of one Node. */
export function serveCommand() {
  const command = serveCommandOf('serve').description('Serve the metadata API to the Pods of one Node.');
  return command.action(async () => {
    const settings = serveSettings(command);
    const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    await using _serving = await startServing(settings, {
      ...{ cluster, effects: systemEffects, log },
      statusSocket: statusSocketOf(settings),
    });
    log.info({ signal: await ended() }, 'ending');
  });
}

interface ServingDependencies {
  readonly cluster: Cluster;
  readonly effects: Effects;
  readonly log: Log;
  /** Whether the next version may listen on the ports before this one ends; by default it may. */
  readonly sharesPorts?: boolean;
  /** The path of a Unix socket on which `explain` is told what is cached and what last failed; by default there is none. */
  readonly statusSocket?: string;
}

/** A metadata server that listens; disposing of it drains it and ends everything it started. */
export interface Serving extends AsyncDisposable {
  /** The ports in use, also if the settings say 0 for any port. */
  readonly serverPort: number;
  readonly healthPort: number;
}

/**
 * Starts the metadata API and the health port of one Node. Resolves when both listen, which is before the Pods are
 * known: `/readyz` says when that is so. Throws `setting-invalid` if another program, or another instance of this
 * project, has a port.
 */
export async function startServing(
  settings: ServeSettings,
  { cluster, effects, log, sharesPorts = true, statusSocket }: ServingDependencies,
): Promise<Serving> {
  const metrics = new Metrics(version);
  const apiServer = new ApiServer(cluster, effects);
  const kubernetes = new RestClient(apiServer, effects);
  const { nodeName, defaultNodeServiceAccount } = settings;
  const callers = new NodeCallers({
    client: kubernetes,
    nodeName,
    defaultNodeServiceAccount,
    clouds: cloudAnnotations(settings),
    effects,
    events: metrics,
    log,
  });
  const refused = callers.refused.bind(callers);
  const limits = new ExchangeLimits(settings, effects, metrics);
  const shared = { kubernetes, effects, events: metrics, log, limits, refused };
  const tokens = new GoogleTokens(settings, shared);
  const { aws, azure } = settings;
  const azureTokens = azure && new AzureTokens({ ...settings, azure }, shared);
  const roleCredentials =
    aws &&
    new RoleCredentials(
      { ...settings, aws },
      { ...shared, googleIDToken: async (caller, audience) => tokens.idToken(caller, audience) },
    );
  const podTokens =
    aws &&
    new PodTokens({
      readKeys: () => readVerificationKeys(apiServer),
      audience: aws.podIdentityAudience,
      effects,
    });
  const caches = [tokens, azureTokens, roleCredentials].filter((cache) => cache !== undefined);
  metrics.watchCacheSize(() => caches.reduce((size, cache) => size + cache.cacheSize, 0));
  const keys = new KeyRotation({
    read: (signal) => readClusterKeys(apiServer, signal),
    effects,
    events: metrics,
    log,
  });

  const instance = await instanceName(cluster);
  const sessionKey = await nodeSecret(cluster, 'session tokens of EC2');
  await requireOwnPort(settings.serverPort, '--server-port', instance, effects.sleep);
  await requireOwnPort(settings.healthPort, '--health-port', instance, effects.sleep);

  const draining = new AbortController();
  const metadata = metadataRoutes({
    settings,
    callers,
    tokens,
    azureTokens,
    ec2: aws && roleCredentials && { ...aws, credentials: roleCredentials, sessionKey },
    containerCredentials: roleCredentials && podTokens && { credentials: roleCredentials, podTokens },
    node: () => callers.node(),
    metrics,
    instance,
    log,
    effects,
    draining: draining.signal,
    peerOf: socketPeer,
  });
  const missing = () => {
    if (draining.signal.aborted) return ['ending'];
    return callers.inSync() ? [] : [`the Pods of Node ${nodeName} are not known yet`];
  };
  const listenOn = (app: App, port: number, flag: string) => {
    try {
      return listen(app, port, sharesPorts);
    } catch (cause) {
      throw cannotListen(port, flag, cause);
    }
  };
  const server = listenOn(metadata, settings.serverPort, '--server-port');
  const health = listenOn(healthRoutes({ metrics, instance, missing }), settings.healthPort, '--health-port');

  const clouds = { google: tokens, aws: roleCredentials, azure: azureTokens };
  const status = () => JSON.stringify(nodeStatus(callers.identified(), clouds));
  const statusServer =
    statusSocket === undefined
      ? undefined
      : await servePrivately(statusSocket, status).catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          log.warn({ path: statusSocket, reason }, 'cannot tell explain what is cached and what last failed');
          return undefined;
        });

  const ending = new AbortController();
  const parts = [callers, keys, ...caches];
  const warning = warnOfLocation({ settings, node: () => callers.node(), effects, log }, ending.signal);
  const running = Promise.all([...parts.map((part) => part.run(ending.signal)), warning]);
  const ports = { serverPort: server.port ?? 0, healthPort: health.port ?? 0 };
  log.info({ version, nodeName, ...ports, provider: `${settings.workloadIdentityProvider}` }, 'listening');
  return {
    ...ports,
    async [Symbol.asyncDispose]() {
      await drain(server, draining, effects.sleep);
      ending.abort();
      await running;
      await health.stop(true);
      await statusServer?.[Symbol.asyncDispose]();
    },
  };
}
