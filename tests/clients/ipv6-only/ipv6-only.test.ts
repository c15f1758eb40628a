import { setDefaultTimeout, test } from 'bun:test';
import { installClients } from '../client-programs.ts';
import { sandboxPods, TIMEOUT, testClients } from '../client-suite.ts';
import { choosePodNetwork } from '../pod-network.ts';

setDefaultTimeout(TIMEOUT);

// namespaces have an index each; the other tests take the first ones
const FIRST_INDEX = 80;

const network = await choosePodNetwork();

if (network.podsHaveAddresses) {
  const clients = await installClients();
  // in mode Redirect at the bracketed metadata address, in mode Environment at the bracketed address of the Node
  const podOf = sandboxPods({
    ...network,
    place: (index, names) => network.place(FIRST_INDEX + index, names, 'IPv6'),
  });
  testClients('Pods with no IPv4 address', clients, podOf, 'finding');
} else {
  test.skip(`not run: Pods with no IPv4 address (${network.description})`, () => undefined);
}
