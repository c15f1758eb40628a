import { systemEffects } from '../core/effects.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { webhookCommandOf, webhookSettings } from '../settings/webhook-settings.ts';
import { createLog } from '../telemetry/log.ts';
import { ended, standardOutput } from './process.ts';

/** `webhook`: puts the route to the metadata server into Pods, and guards the server's token requests. */
export function webhookCommand() {
  const command = webhookCommandOf('webhook').description(
    "Serve the admission webhook: inject Pods, guard the server's token requests.",
  );
  return command.action(async () => {
    const settings = webhookSettings(command);
    const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    // not loaded by serve, to save memory
    const { startWebhook } = await import('./webhook-serving.ts');
    await using _webhook = await startWebhook(settings, { cluster, effects: systemEffects, log });
    log.info({ signal: await ended() }, 'ending');
  });
}
