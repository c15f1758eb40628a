import { createHash } from 'node:crypto';
import { decodeJwt } from 'jose';
import type { Cluster } from './configuration.ts';

const SERVICE_ACCOUNT = 'system:serviceaccount:';

/**
 * What tells instances of this project apart: `NAMESPACE:NAME` of the ServiceAccount that the credentials are of, and
 * a digest of the API server's address. Every Pod of an instance has the same, each with a token of its own.
 */
export async function instanceName(cluster: Cluster): Promise<string> {
  const server = createHash('sha256').update(cluster.server).digest('hex').slice(0, 12);
  return `${await serviceAccountOf(cluster)}@${server}`;
}

async function serviceAccountOf(cluster: Cluster): Promise<string> {
  try {
    const { headers } = await cluster.authenticate();
    const authorization = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
    const { sub } = decodeJwt(authorization?.[1].replace(/^Bearer /, '') ?? '');
    if (sub?.startsWith(SERVICE_ACCOUNT)) return sub.slice(SERVICE_ACCOUNT.length);
  } catch {
    // no token, or not one of a ServiceAccount: a person's kubeconfig
  }
  return 'user';
}
