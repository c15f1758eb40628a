import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { LogSettings } from '../telemetry/log.ts';
import { flag, logFormatFlag, logLevelFlag, nodeServerPortFlag, type Parsed, podUIDFlag } from './flags.ts';
import { parseBoolean, parseIPAddress } from './parsers.ts';

/** The settings of `token-file`, parsed and checked. */
export interface TokenFileSettings extends LogSettings {
  readonly file: string;
  readonly audience: string;
  /** Whether it ends when the file is written, or renews the token from then on. */
  readonly once: boolean;
  /** `status.hostIP` and `metadata.uid` of the Pod it runs in. */
  readonly hostAddress: IPAddress;
  readonly podUID: string;
  /** Port of the metadata API on the Node. */
  readonly serverPort: number;
}

/** As token-injector asks for it; AWS sees it as `accounts.google.com:oaud`. */
const TOKEN_INJECTOR_AUDIENCE = 'token-injector/sts/assume-role-with-web-identity';

/** A command with the flags of `token-file`: flag, variable, text, type, default. */
export function tokenFileCommandOf(name: string) {
  return new Command(name)
    .addOption(
      flag('--token-file <path>', 'TOKEN_FILE', 'file to keep the token in; its folder must exist')
        .argParser(parsePath)
        .makeOptionMandatory(),
    )
    .addOption(
      flag('--audience <audience>', 'AUDIENCE', 'audience of the token')
        .argParser(parseAudience)
        .default(TOKEN_INJECTOR_AUDIENCE),
    )
    .addOption(
      flag(
        '--once [boolean]',
        'ONCE',
        'end when the file is written; otherwise renew the token until stopped',
      )
        .argParser(parseBoolean)
        .preset('true')
        .default(false),
    )
    .addOption(
      flag('--host-ip <address>', 'HOST_IP', "the Node's address (status.hostIP)")
        .argParser(parseIPAddress)
        .makeOptionMandatory(),
    )
    .addOption(podUIDFlag())
    .addOption(nodeServerPortFlag())
    .addOption(logLevelFlag())
    .addOption(logFormatFlag());
}

type TokenFileValues = ReturnType<ReturnType<typeof tokenFileCommandOf>['opts']>;

/** The settings of a parsed command line and environment. */
export function tokenFileSettings(command: Parsed<TokenFileValues>): TokenFileSettings {
  const options = command.opts();
  return {
    file: options.tokenFile,
    audience: options.audience,
    once: options.once,
    hostAddress: options.hostIp,
    podUID: options.podUid,
    serverPort: options.serverPort,
    logLevel: options.logLevel,
    logFormat: options.logFormat,
  };
}

/** An absolute path of a file. */
function parsePath(value: string): string {
  if (!/^\/[^\0]*[^\0/]$/.test(value)) throw new InvalidArgumentError('Expected an absolute path of a file.');
  return value;
}

/** As the metadata server accepts it. */
function parseAudience(value: string): string {
  if (value === '' || value.length > 2048 || /\p{Cc}/u.test(value)) {
    throw new InvalidArgumentError('Expected an audience of at most 2048 printable characters.');
  }
  return value;
}
