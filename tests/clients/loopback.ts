import { CleanHome, type PodPlace, variablesFor } from './pod-place.ts';

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
    nodeAddress: ADDRESS,
    get origin() {
      return `http://${host}`;
    },
    async connect(serverPort) {
      host = `${ADDRESS}:${serverPort}`;
    },
    run: (command, more) => home.run(command, { ...variablesFor(host), ...more }),
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}
