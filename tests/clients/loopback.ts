import { CleanHome, type PodPlace } from './pod-place.ts';

const ADDRESS = '127.0.0.1';

/**
 * A place whose clients are sent to the server by the three variables that Google's clients have for it.
 * Works everywhere, but 169.254.169.254 is not intercepted, and all such places share one address.
 */
export async function loopback(): Promise<PodPlace> {
  const home = await CleanHome.create();
  let host = ADDRESS;
  return {
    address: ADDRESS,
    get origin() {
      return `http://${host}`;
    },
    async connect(serverPort) {
      host = `${ADDRESS}:${serverPort}`;
    },
    run: (command) =>
      // no client honours all three, and gcloud only the last
      home.run(command, { GCE_METADATA_HOST: host, GCE_METADATA_IP: host, GCE_METADATA_ROOT: host }),
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}
