import type { IPAddress } from '../kubernetes/ip-address.ts';
import { METADATA_ADDRESS, type Redirect, targetOf, urlHost } from './redirect-rules.ts';

/** How a Pod asks the metadata server of its Node. */
export interface ServerEndpoint {
  /** What stands in the URL: an address, with a port unless it is 80. */
  readonly authority: string;
  /** Where that leads, as `ADDRESS:PORT`. */
  readonly server: string;
}

/** By the metadata address, through a redirect. */
export function redirectedEndpoint(redirect: Redirect): ServerEndpoint {
  return { authority: urlHost(METADATA_ADDRESS[redirect.family]), server: targetOf(redirect) };
}

/** By the Node's first address, which is `status.hostIP`: as clients do that read environment variables. */
export function nodeEndpoint(node: {
  readonly hostAddresses: readonly IPAddress[];
  readonly serverPort: number;
}): ServerEndpoint {
  const [address = ''] = node.hostAddresses;
  const server = `${urlHost(address)}:${node.serverPort}`;
  return { authority: server, server };
}
