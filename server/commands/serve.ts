import { Command } from 'commander';
import { systemEffects } from '../core/effects.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { serveOptions, serveSettings } from '../settings/serve-options.ts';
import { createLog } from '../telemetry/log.ts';
import { ended, standardOutput } from './process.ts';
import { startServing } from './serving.ts';

/** `serve`: the metadata API of one Node. */
export function serveCommand(): Command {
  const command = new Command('serve').description('Serve the metadata API to the Pods of one Node.');
  for (const option of serveOptions()) command.addOption(option);
  return command.action(async () => {
    const settings = serveSettings(command);
    const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    await using _serving = await startServing(settings, { cluster, effects: systemEffects, log });
    log.info({ signal: await ended() }, 'ending');
  });
}
