import { Command, Option } from '@commander-js/extra-typings';
import { type Effects, systemEffects } from '../core/effects.ts';
import { cannotListen } from '../http/listener.ts';
import { logFormatFlag, logLevelFlag, requireDistinctPorts } from '../settings/flags.ts';
import { parsePort } from '../settings/parsers.ts';
import { createLog, type LogSettings } from '../telemetry/log.ts';
import { ended, standardOutput } from './process.ts';
import { startServing } from './serve.ts';

interface SandboxSettings extends LogSettings {
  readonly serverPort: number;
  readonly healthPort: number;
}

/** `sandbox`: the real server against a stand-in cluster and stand-in clouds, for a person to try. */
export function sandboxCommand() {
  const command = new Command('sandbox')
    .description('Run the server on this machine, against a stand-in cluster and stand-in clouds.')
    .addOption(new Option('--once', 'end after the tour').default(false))
    .addOption(
      new Option('--server-port <port>', 'port of the metadata API').argParser(parsePort).default(16_321),
    )
    .addOption(
      new Option('--health-port <port>', 'port of /healthz, /readyz and /metrics')
        .argParser(parsePort)
        .default(16_322),
    )
    .addOption(logLevelFlag())
    .addOption(logFormatFlag());
  return command.action(async () => {
    const { once, ...settings } = command.opts();
    requireDistinctPorts(command, '--server-port', settings.serverPort, settings.healthPort);
    requireFree(settings.serverPort, '--server-port');
    requireFree(settings.healthPort, '--health-port');
    await runSandbox(once, settings, systemEffects);
  });
}

/** Before all that takes time. The sandbox shares no port: two would each get half of the requests. */
function requireFree(port: number, flag: string): void {
  try {
    void Bun.serve({ port, reusePort: false, fetch: () => new Response() }).stop(true);
  } catch (cause) {
    throw cannotListen(port, flag, cause);
  }
}

async function runSandbox(once: boolean, settings: SandboxSettings, effects: Effects): Promise<void> {
  // not loaded by serve, to save memory
  const { startSandboxWorld } = await import('../sandbox/sandbox-world.ts');
  const { sandboxSettings } = await import('../sandbox/sandbox-world.ts');
  const { curlLine, tour } = await import('../sandbox/tour.ts');
  await using world = await startSandboxWorld();
  const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  await using serving = await startServing(sandboxSettings(world, settings), {
    ...{ cluster, effects, log },
    sharesPorts: false,
  });
  const print = (line: string) => process.stdout.write(`${line}\n`);
  await tour({ world, serverPort: serving.serverPort, clock: () => performance.now(), print });
  if (once) return;
  print('\nIt stays up; ask yourself, as any of them:\n');
  for (const inhabitant of world.inhabitants)
    print(`  # ${inhabitant.name}\n  ${curlLine(inhabitant, serving.serverPort)}`);
  // first, since the line below is an invitation
  const end = ended();
  print(`\nMetrics: http://127.0.0.1:${serving.healthPort}/metrics    Ctrl-C ends it.`);
  await end;
}
