import { Command, Option } from 'commander';
import { type Effects, systemEffects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { parsePort } from '../settings/parsers.ts';
import { logOptions } from '../settings/serve-options.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import { createLog } from '../telemetry/log.ts';
import { ended, standardOutput } from './process.ts';
import { startServing } from './serving.ts';

interface SandboxOptionValues {
  once: boolean;
  serverPort: number;
  healthPort: number;
  logLevel: LogLevel;
  logFormat: LogFormat;
}

/** `sandbox`: the real server against a stand-in cluster and a stand-in Google, for a person to try. */
export function sandboxCommand(): Command {
  const command = new Command('sandbox')
    .description('Try it on this machine: the server against a stand-in cluster and a stand-in Google.')
    .addOption(new Option('--once', 'end after the tour').default(false))
    .addOption(
      new Option('--server-port <port>', 'port of the metadata API').argParser(parsePort).default(16_321),
    )
    .addOption(
      new Option('--health-port <port>', 'port of /healthz, /readyz and /metrics')
        .argParser(parsePort)
        .default(16_322),
    );
  for (const option of logOptions()) command.addOption(option);
  return command.action(async () => {
    // the parsers above are the proof of these types
    const { once, ...settings } = command.opts() as SandboxOptionValues;
    if (settings.serverPort === settings.healthPort) {
      command.error(`error: --server-port and --health-port are both ${settings.serverPort}`);
    }
    requireFree(settings.serverPort, '--server-port');
    requireFree(settings.healthPort, '--health-port');
    await runSandbox(once, settings, systemEffects);
  });
}

/** The server shares its port, so that an update loses no request; two sandboxes would each get half of them. */
function requireFree(port: number, flag: string): void {
  try {
    void Bun.serve({ port, reusePort: false, fetch: () => new Response() }).stop(true);
  } catch (cause) {
    throw new Fault('setting-invalid', `cannot listen on port ${port}: another program has it`, {
      remedy: `End that program, or choose another port with ${flag}.`,
      cause,
    });
  }
}

async function runSandbox(
  once: boolean,
  settings: Omit<SandboxOptionValues, 'once'>,
  effects: Effects,
): Promise<void> {
  // serve never needs them, and what it has not loaded takes no memory
  const { startSandboxWorld } = await import('../sandbox/sandbox-world.ts');
  const { sandboxSettings } = await import('../sandbox/sandbox-settings.ts');
  const { curlLine, tour } = await import('../sandbox/tour.ts');
  await using world = await startSandboxWorld();
  const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  await using serving = await startServing(sandboxSettings(world, settings), { cluster, effects, log });
  const print = (line: string) => process.stdout.write(`${line}\n`);
  await tour({ world, serverPort: serving.serverPort, clock: () => performance.now(), print });
  if (once) return;
  print('\nIt stays up; ask yourself, as any of them:\n');
  for (const inhabitant of world.inhabitants)
    print(`  # ${inhabitant.name}\n  ${curlLine(inhabitant, serving.serverPort)}`);
  print(`\nMetrics: http://127.0.0.1:${serving.healthPort}/metrics    Ctrl-C ends it.`);
  await ended();
}
