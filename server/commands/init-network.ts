import { systemEffects } from '../core/effects.ts';
import { InitNetworkError } from '../network/init-network-error.ts';
import { nodeEndpoint, redirectedEndpoint } from '../network/node-server.ts';
import { redirect, redirectsOf, systemExec } from '../network/redirect.ts';
import { waitUntilKnown } from '../network/wait-until-known.ts';
import {
  type InitNetworkSettings,
  initNetworkCommandOf,
  initNetworkSettings,
} from '../settings/init-network-settings.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { standardOutput } from './process.ts';
import { reportFailure } from './termination.ts';

/** `init-network`: gives a Pod its route to the metadata server, and ends when the server knows the Pod. */
export function initNetworkCommand() {
  const command = initNetworkCommandOf('init-network').description(
    'Redirect the metadata addresses to the server of this Node, then wait until it knows this Pod (init container).',
  );
  return command.action(async () => {
    process.exitCode = await initNetwork(initNetworkSettings(command));
  });
}

async function initNetwork(settings: InitNetworkSettings): Promise<number> {
  const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
  try {
    const endpoint = settings.redirects ? await redirected(settings, log) : nodeEndpoint(settings);
    await waitUntilKnown(endpoint, settings.podUID, settings.timeoutSeconds, { ...systemEffects, log });
    return 0;
  } catch (error) {
    if (!(error instanceof InitNetworkError)) throw error;
    return reportFailure(log, error, 'cannot use the metadata server');
  }
}

async function redirected(settings: InitNetworkSettings, log: Log) {
  const { podAddresses, hostAddresses, serverPort } = settings;
  const redirects = redirectsOf(podAddresses, hostAddresses, serverPort, settings);
  return redirectedEndpoint(await redirect(redirects, { exec: systemExec, log }));
}
