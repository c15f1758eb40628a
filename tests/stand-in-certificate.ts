import { mkdtemp, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsIdentity } from '../server/sandbox/listener.ts';
import { makeCertificate } from './cluster/certificates.ts';

/** What a stand-in shows for https, and the authority that its clients have to trust. */
interface StandInCertificate {
  readonly tls: TlsIdentity;
  /** PEM. */
  readonly authority: string;
}

/** A certificate for the names and addresses that clients reach a stand-in by, of an authority made for it. */
export async function standInCertificate(hosts: readonly string[]): Promise<StandInCertificate> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-stand-in-'));
  try {
    const [ca, server] = [join(folder, 'ca'), join(folder, 'server')];
    await makeCertificate(ca, '/CN=stand-ins', [
      'basicConstraints=critical,CA:TRUE',
      'keyUsage=critical,keyCertSign',
    ]);
    const entries = hosts.map((host) => (isIP(host) === 0 ? `DNS:${host}` : `IP:${host}`));
    const extensions = ['extendedKeyUsage=serverAuth', `subjectAltName=${entries.join(',')}`];
    await makeCertificate(server, '/CN=stand-in', extensions, ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`]);
    const read = (path: string) => Bun.file(path).text();
    return {
      tls: { certificate: await read(`${server}.crt`), key: await read(`${server}.key`) },
      authority: await read(`${ca}.crt`),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The variables by which clients trust the authority in a file: each of them has its own. */
export function variablesTrusting(file: string): Readonly<Record<string, string>> {
  return {
    // boto3 and the AWS CLI
    AWS_CA_BUNDLE: file,
    // Node, beside the authorities that it knows
    NODE_EXTRA_CA_CERTS: file,
    // Python's requests, so azure-identity
    REQUESTS_CA_BUNDLE: file,
    // OpenSSL, so Python's own, and Go
    SSL_CERT_FILE: file,
  };
}
