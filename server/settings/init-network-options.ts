import { type Command, Option } from 'commander';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import type { InitNetworkSettings } from './init-network-settings.ts';
import { parseBoolean, parseDurationBetween, parseIPAddresses, parseName, parsePort } from './parsers.ts';
import { logOptions } from './serve-options.ts';

/** What commander has after each parser below has run. */
interface InitNetworkOptionValues {
  hostIps: readonly IPAddress[];
  podIps: readonly IPAddress[];
  podUid: string;
  serverPort: number;
  redirect: boolean;
  timeout: number;
  logLevel: LogLevel;
  logFormat: LogFormat;
}

/** The flags of `init-network`, each with its environment variable. */
export function initNetworkOptions(): Option[] {
  return [
    new Option('--host-ips <addresses>', "the Node's addresses, comma-separated (status.hostIPs)")
      .env('HOST_IPS')
      .argParser(parseIPAddresses)
      .makeOptionMandatory(),
    new Option('--pod-ips <addresses>', "this Pod's addresses, comma-separated (status.podIPs)")
      .env('POD_IPS')
      .argParser(parseIPAddresses)
      .makeOptionMandatory(),
    new Option('--pod-uid <uid>', "this Pod's UID (metadata.uid)")
      .env('POD_UID')
      .argParser(parseName)
      .makeOptionMandatory(),
    new Option('--server-port <port>', 'port of the metadata API on the Node')
      .env('SERVER_PORT')
      .argParser(parsePort)
      .default(16_321),
    new Option(
      '--redirect <boolean>',
      "redirect the metadata addresses; false: only wait, and ask the Node's first address, as in mode Environment",
    )
      .env('REDIRECT')
      .argParser(parseBoolean)
      .default(true),
    // a new Node pulls the server's image while its first Pods start
    new Option('--timeout <duration>', 'how long to wait for the server, 1s to 1h')
      .env('TIMEOUT')
      .argParser(parseDurationBetween(1, 3600))
      .default(180, '3m'),
    ...logOptions(),
  ];
}

/** The settings that a parsed command line and environment give. */
export function initNetworkSettings(command: Command): InitNetworkSettings {
  // the parsers above are the proof of these types
  const { hostIps, podIps, podUid, serverPort, redirect, timeout, logLevel, logFormat } =
    command.opts() as InitNetworkOptionValues;
  return {
    hostAddresses: hostIps,
    podAddresses: podIps,
    podUID: podUid,
    serverPort,
    redirects: redirect,
    timeoutSeconds: timeout,
    logLevel,
    logFormat,
  };
}
