import { beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import type { SandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { type ServeProcess, startServe } from '../serve-process.ts';
import { waitUntil } from '../wait-until.ts';
import { startHurriedServer } from './hurried-server.ts';
import { Installation, type InstallationOptions } from './installation.ts';
import { type MonitoringTools, prepareMonitoringTools } from './prometheus.ts';

const SLOW_MACHINE = 180_000;
const ANNOTATED = '127.0.0.11';
const DENIED = '127.0.0.13';

let tools: MonitoringTools;
let renderer: ModuleRenderer;
beforeAll(async () => {
  const cache = new Cache();
  [tools, renderer] = await Promise.all([prepareMonitoringTools(cache), ModuleRenderer.prepare(cache)]);
}, SLOW_MACHINE);

const start = (options: Partial<InstallationOptions> = {}) =>
  Installation.start({ tools, renderer, ...options });

async function firing({ prometheus }: Installation): Promise<string[]> {
  const alerts = (await prometheus.rules()).flatMap((rule) => rule.alerts.map(() => rule.name));
  return [...new Set(alerts)].sort();
}

/** Waits until Prometheus has evaluated each rule another time, on what it has scraped another time. */
async function evaluatedAgain({ prometheus }: Installation): Promise<void> {
  const begin = Date.now();
  const scraped = `min(timestamp(up)) * 1000 > bool ${begin}`;
  await waitUntil('every target is scraped again', async () =>
    (await prometheus.query(scraped)).every(({ samples }) => samples[0]?.[1] === 1),
  );
  const after = Date.now();
  await waitUntil('every rule is evaluated again', async () =>
    (await prometheus.rules()).every(({ lastEvaluation }) => Date.parse(lastEvaluation) > after),
  );
}

/**
 * Keeps causing until these alerts fire, and sees that no other does then. While it does so, everything else is in
 * use as on a good day.
 */
async function expectAlerts(
  installation: Installation,
  names: readonly string[],
  cause: () => Promise<unknown> | undefined = () => undefined,
): Promise<void> {
  const wanted = [...names].sort();
  const causedUntil = (what: string, satisfied: (found: readonly string[]) => boolean) =>
    waitUntil(what, async () => {
      await cause();
      const found = await firing(installation);
      return satisfied(found) || Promise.reject(new Error(`firing: ${found}`));
    });
  await causedUntil(`these alerts fire: ${wanted}`, (found) => wanted.every((name) => found.includes(name)));
  await evaluatedAgain(installation);
  // an increase is extrapolated, and may fall below a threshold that it has just exceeded
  await causedUntil(`only these fire: ${wanted}`, (found) => `${found}` === `${wanted}`);
}

describe('an alert fires when its cause is made, and no other does', () => {
  test(
    'nothing is wrong: none, though all is in use and one Pod may not have its token',
    async () => {
      await using installation = await start();
      expect(await installation.askForNewToken(DENIED)).toBe(403);
      const samples = 'min(count_over_time(up[10m])) >= 8';
      await waitUntil('there is something to see', async () => {
        await installation.use();
        return (await installation.prometheus.query(samples)).length === 1;
      });
      await evaluatedAgain(installation);
      const rules = await installation.prometheus.rules();
      expect(rules.map(({ name, health, alerts }) => [name, health, alerts])).toEqual(
        installation.monitoring.rules.map(({ alert }) => [alert, 'ok', []]),
      );
    },
    SLOW_MACHINE,
  );

  test(
    'a server ends',
    async () => {
      let serve: ServeProcess | undefined;
      const startServer = async (world: SandboxWorld) => {
        serve = await startServe(world);
        return serve;
      };
      await using installation = await start({ startServer });
      await expectAlerts(installation, []);
      await serve?.end('SIGKILL');
      await expectAlerts(installation, ['GKEMetadataServerDown']);
      const [alert] = (await installation.prometheus.rules()).flatMap(({ alerts }) => alerts);
      expect(alert?.labels).toMatchObject({
        severity: 'critical',
        namespace: 'gkems-system',
        node: 'sandbox-node',
      });
      const { summary } = alert?.annotations ?? {};
      expect(summary).toBe('The metadata server on Node sandbox-node does not respond.');
    },
    SLOW_MACHINE,
  );

  test(
    'Prometheus finds no server',
    async () => {
      await using installation = await start({ discovers: ['webhook'] });
      await expectAlerts(installation, ['GKEMetadataServerAbsent']);
    },
    SLOW_MACHINE,
  );

  test(
    'a Google account does not let a Pod use it',
    async () => {
      await using installation = await start();
      await expectAlerts(installation, ['GKEMetadataServerExchangesRefused'], async () => {
        await installation.use();
        expect(await installation.askForNewToken(DENIED)).toBe(403);
      });
    },
    SLOW_MACHINE,
  );

  test(
    'Google does not answer',
    async () => {
      await using installation = await start();
      installation.world.google.faults.sts.failWith(503);
      const alerts = ['GKEMetadataServerExchangesUnavailable', 'GKEMetadataServerRequestsFailing'];
      await expectAlerts(installation, alerts, () => installation.askForNewToken(ANNOTATED));
    },
    SLOW_MACHINE,
  );

  test(
    'Google fails now and then, and Pods notice nothing',
    async () => {
      await using installation = await start();
      await installation.use();
      const { iam } = installation.world.google.faults;
      await expectAlerts(installation, ['GKEMetadataServerExchangesUnavailable'], async () => {
        iam.failWith(503, 1);
        expect(await installation.askForNewToken(ANNOTATED)).toBe(200);
      });
    },
    SLOW_MACHINE,
  );

  test(
    'a Pod asks for a new scope all the time',
    async () => {
      await using installation = await start({ startServer: startServe });
      const alerts = ['GKEMetadataServerExchangesThrottled', 'GKEMetadataServerRequestsFailing'];
      await expectAlerts(installation, alerts, () =>
        Promise.all(Array.from({ length: 20 }, () => installation.askForNewToken(ANNOTATED))),
      );
    },
    SLOW_MACHINE,
  );

  test(
    'the server cannot watch',
    async () => {
      await using installation = await start();
      const { kubernetes } = installation.world;
      for (const resource of ['pods', 'nodes'] as const) kubernetes.faults[resource].failWith(500);
      kubernetes.dropConnections();
      await expectAlerts(installation, ['GKEMetadataServerWatchFailing'], () => installation.use());
    },
    SLOW_MACHINE,
  );

  test(
    'the cluster gets another key',
    async () => {
      await using installation = await start({ startServer: startHurriedServer });
      await expectAlerts(installation, [], () => installation.use());
      await installation.world.kubernetes.addKey();
      await expectAlerts(installation, ['GKEMetadataServerClusterKeysChanged'], () => installation.use());
    },
    SLOW_MACHINE,
  );

  test(
    'the last replica of the webhook ends',
    async () => {
      await using installation = await start();
      await expectAlerts(installation, []);
      await installation.webhook.end('SIGKILL');
      await expectAlerts(installation, ['GKEMetadataServerWebhookDown']);
    },
    SLOW_MACHINE,
  );

  test(
    'the webhook cannot read from the API server',
    async () => {
      await using installation = await start();
      await installation.webhookKubernetes.stop();
      await expectAlerts(installation, ['GKEMetadataServerWebhookReviewsFailing'], () => installation.use());
    },
    SLOW_MACHINE,
  );

  test(
    'a Pod asks for a mode that does not exist',
    async () => {
      await using installation = await start();
      await expectAlerts(installation, ['GKEMetadataServerInjectionsRefused'], async () => {
        await installation.use();
        await installation.reviewPod('Magic');
      });
    },
    SLOW_MACHINE,
  );

  test(
    "a server's token is used without a Node",
    async () => {
      await using installation = await start();
      await expectAlerts(installation, ['GKEMetadataServerTokenRequestsRefused'], async () => {
        await installation.use();
        await installation.reviewTokenRequest(undefined);
      });
    },
    SLOW_MACHINE,
  );

  test(
    "the webhook's certificate is not renewed",
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'gkems-certificate-'));
      try {
        const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'tls.key'];
        const certificate = ['-days', '3', '-subj', '/CN=webhook', '-out', 'tls.crt'];
        await runOrThrow(['openssl', 'req', '-x509', ...key, ...certificate], { cwd: directory });
        await using installation = await start({ certificateDirectory: directory });
        await expectAlerts(installation, ['GKEMetadataServerWebhookCertificateExpiring']);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    SLOW_MACHINE,
  );
});
