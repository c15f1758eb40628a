import { Command } from 'commander';
import { systemEffects } from '../core/effects.ts';
import { systemExec } from '../network/exec.ts';
import { InitNetworkError } from '../network/init-network-error.ts';
import { redirect, redirectsOf } from '../network/redirect.ts';
import { waitUntilKnown } from '../network/wait-until-known.ts';
import { initNetworkOptions, initNetworkSettings } from '../settings/init-network-options.ts';
import type { InitNetworkSettings } from '../settings/init-network-settings.ts';
import { createLog } from '../telemetry/log.ts';
import { standardOutput } from './process.ts';

/** `init-network`: gives a Pod its route to the metadata server, and ends when the server knows the Pod. */
export function initNetworkCommand(): Command {
  const command = new Command('init-network').description(
    "Redirect the metadata address to the Node's server, then wait until it knows this Pod (an init container).",
  );
  for (const option of initNetworkOptions()) command.addOption(option);
  return command.action(async () => {
    process.exitCode = await initNetwork(initNetworkSettings(command));
  });
}

async function initNetwork(settings: InitNetworkSettings): Promise<number> {
  const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
  try {
    const redirects = redirectsOf(settings.podAddresses, settings.hostAddresses, settings.serverPort);
    const redirected = await redirect(redirects, { exec: systemExec, log });
    await waitUntilKnown(redirected, settings.podUID, settings.timeoutSeconds, { ...systemEffects, log });
    return 0;
  } catch (error) {
    if (!(error instanceof InitNetworkError)) throw error;
    const { code, message, remedy } = error;
    log.error({ code, reason: message, remedy }, 'the metadata server cannot be used');
    return 1;
  }
}
