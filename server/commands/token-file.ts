import { systemEffects } from '../core/effects.ts';
import { nodeEndpoint } from '../network/node-server.ts';
import {
  type TokenFileSettings,
  tokenFileCommandOf,
  tokenFileSettings,
} from '../settings/token-file-settings.ts';
import { createLog } from '../telemetry/log.ts';
import { keepTokenFile, writeTokenFile } from '../token-file/keep-token-file.ts';
import { TokenFile } from '../token-file/token-file.ts';
import { TokenFileError } from '../token-file/token-file-error.ts';
import { ended, standardOutput } from './process.ts';
import { reportFailure } from './termination.ts';

/** `token-file`: keeps a Google ID token of its Pod in a file, which AWS's SDKs read. */
export function tokenFileCommand() {
  const command = tokenFileCommandOf('token-file').description(
    'Keep a Google ID token of this Pod in a file, for AWS STS (init container, then native sidecar).',
  );
  return command.action(async () => {
    process.exit(await tokenFile(tokenFileSettings(command)));
  });
}

async function tokenFile({ file: path, audience, podUID, ...settings }: TokenFileSettings): Promise<number> {
  const log = createLog(settings.logLevel, settings.logFormat, standardOutput());
  const { hostAddress, serverPort } = settings;
  const endpoint = nodeEndpoint({ hostAddresses: [hostAddress], serverPort });
  const request = { endpoint, podUID, audience };
  const dependencies = { ...systemEffects, file: new TokenFile(path), log };
  if (!settings.once) {
    // it has nothing to finish: a write that is interrupted leaves the file as it was
    log.info({ signal: await Promise.race([ended(), keepTokenFile(request, dependencies)]) }, 'ending');
    return 0;
  }
  try {
    await writeTokenFile(request, dependencies);
    return 0;
  } catch (error) {
    if (!(error instanceof TokenFileError)) throw error;
    return reportFailure(log, error, 'cannot write a token file');
  }
}
