import { systemEffects } from '../core/effects.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { serveCommandOf, serveSettings } from '../settings/serve-settings.ts';
import { createLog } from '../telemetry/log.ts';
import { ended, standardOutput } from './process.ts';
import { startServing } from './serving.ts';

/** `serve`: the metadata API of one Node. */
export function serveCommand() {
  const command = serveCommandOf('serve').description('Serve the metadata API to the Pods of one Node.');
  return command.action(async () => {
    const settings = serveSettings(command);
    const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    await using _serving = await startServing(settings, { cluster, effects: systemEffects, log });
    log.info({ signal: await ended() }, 'ending');
  });
}
