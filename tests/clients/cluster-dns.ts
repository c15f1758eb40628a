import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import DNS from 'dns2';

/** How a cluster's DNS answers for Google's names. */
export type DnsBehavior =
  /** Knows none of them, as any cluster elsewhere: NXDOMAIN, at once. */
  | 'nxdomain'
  /** The same after a while, as with an upstream far away. */
  | 'slow-nxdomain'
  /** Knows `metadata.google.internal`, as on GKE. */
  | 'gke';

const METADATA_NAME = 'metadata.google.internal';
const METADATA_ADDRESS = '169.254.169.254';
// more than a client waits for another answer beside it
const SLOW = 1500;
const TTL = 300;

/**
 * A DNS server on UDP port 53 of `address` that replaces the cluster's. It answers every question: a resolver
 * that is left without one asks again for many seconds.
 */
export async function clusterDns(address: string, behavior: DnsBehavior): Promise<AsyncDisposable> {
  const pending = new Set<Timer>();
  const answer = (request: DNS.Packet): DNS.Packet => {
    const response = DNS.Packet.createResponseFromRequest(request);
    const [{ name, type } = { name: '', type: 0 }] = request.questions;
    if (behavior !== 'gke' || name.toLowerCase() !== METADATA_NAME) {
      response.header.rcode = DNS.Packet.RCODE.NXDOMAIN;
    } else if (type === DNS.Packet.TYPE.A) {
      const record = new DNS.Packet.Resource(name, type, DNS.Packet.CLASS.IN, TTL);
      response.answers.push(Object.assign(record, { address: METADATA_ADDRESS }));
    }
    return response;
  };
  const server = DNS.createServer({
    udp: { type: isIPv6(address) ? 'udp6' : 'udp4' },
    handle: (request, send) => {
      if (behavior !== 'slow-nxdomain') {
        send(answer(request));
        return;
      }
      const timer = setTimeout(() => {
        pending.delete(timer);
        send(answer(request));
      }, SLOW);
      pending.add(timer);
    },
  });
  const listening = once(server, 'listening');
  await server.listen({ udp: { port: 53, address } });
  await listening;
  return {
    async [Symbol.asyncDispose]() {
      for (const timer of pending) clearTimeout(timer);
      await server.close();
    },
  };
}
