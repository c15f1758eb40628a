import { setDefaultTimeout } from 'bun:test';
import { join } from 'node:path';
import type { ClientProgram, MissingClient } from '../client-programs.ts';
import { sandboxPods, TIMEOUT, testClients } from '../client-suite.ts';
import { choosePodNetwork } from '../pod-network.ts';

setDefaultTimeout(TIMEOUT);

const network = await choosePodNetwork();

testClients(`gcloud, ${network.description}`, [gcloudClient()], sandboxPods(network));

/** Each look starts gcloud five times, a second of work each. */
function gcloudClient(): ClientProgram | MissingClient {
  const name = 'gcloud';
  if (Bun.which(name) === null) return { name, notRun: 'no gcloud on PATH' };
  return {
    name,
    command: [process.execPath, join(import.meta.dir, 'client.ts')],
    asksForScopes: false,
    noIDToken: /No identity token can be obtained from the current credentials/,
    denied: /MetadataServerException.*: The request is rejected/,
  };
}
